//! Answers of AWS's query protocol, as XML. Escapes everything. Pure.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use quick_xml::{Writer, events::BytesText};
use uuid::Uuid;

use crate::local::gateway::call::{Fault, Reply};

const NAMESPACE: &str = "http://rds.amazonaws.com/doc/2014-10-31/";

/// Writes elements one after the other.
pub(super) struct Xml<'a>(&'a mut Writer<Vec<u8>>);

impl Xml<'_> {
    /// Writes an element with text.
    pub(super) fn text(&mut self, name: &str, text: impl Display) -> io::Result<()> {
        self.0.create_element(name).write_text_content(BytesText::new(&format!("{text}"))).map(drop)
    }

    /// Writes an element with elements inside.
    pub(super) fn nest(&mut self, name: &str, inside: impl FnOnce(&mut Xml<'_>) -> io::Result<()>) -> io::Result<()> {
        self.0.create_element(name).write_inner_content(|it| inside(&mut Xml(it))).map(drop)
    }
}

/// Renders the answer to an action; `inside` writes its result.
pub(super) fn answer(action: &str, inside: impl FnOnce(&mut Xml<'_>) -> io::Result<()>) -> Result<Reply, Fault> {
    let document = render(&format!("{action}Response"), |it| {
        it.nest(&format!("{action}Result"), inside)?;
        it.nest("ResponseMetadata", |it| it.text("RequestId", Uuid::new_v4()))
    });
    document.map(|it| Reply::Xml(200, it)).map_err(|err| Fault::new(500, "InternalFailure", err.to_string()))
}

/// Renders a refusal.
pub(super) fn refusal(fault: &Fault) -> Reply {
    let side = if fault.status < 500 { "Sender" } else { "Receiver" };
    let document = render("ErrorResponse", |it| {
        it.nest("Error", |it| {
            it.text("Type", side)?;
            it.text("Code", fault.code)?;
            it.text("Message", &fault.message)
        })?;
        it.text("RequestId", Uuid::new_v4())
    });
    // Writing to memory cannot fail.
    Reply::Xml(fault.status, document.unwrap_or_default())
}

fn render(root: &str, inside: impl FnOnce(&mut Xml<'_>) -> io::Result<()>) -> io::Result<String> {
    let mut writer = Writer::new(Vec::new());
    writer.get_mut().write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
    writer.create_element(root).with_attribute(("xmlns", NAMESPACE)).write_inner_content(|it| inside(&mut Xml(it)))?;
    String::from_utf8(writer.into_inner()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let reply = answer("X", |it| it.nest("Tag", |it| it.text("Key", "a<b>&\"c\""))).expect("memory");
        let Reply::Xml(200, text) = reply else { panic!("not XML: {reply:?}") };
        assert!(text.contains("<XResult><Tag><Key>a&lt;b&gt;&amp;"), "{text}");
        let Reply::Xml(404, text) = refusal(&Fault::new(404, "DBInstanceNotFound", "<none>")) else { panic!("no XML") };
        assert!(text.contains("<Code>DBInstanceNotFound</Code><Message>&lt;none&gt;</Message>"), "{text}");
    }
}
