//! Whether pages and visuals can be shown: names, places, roles, fields.

use std::collections::BTreeSet;

use toml::Spanned;

use super::Check;
use crate::figures::{
    dax::{self, Target},
    layout::{CANVAS, Form, Page, Takes, Visual},
};

/// The longest name of a page or a visual that Power BI takes.
const LONGEST: usize = 50;

pub(super) fn pages(check: &mut Check<'_>) {
    let files = check.files;
    names(check, files.layout.pages.iter().map(|it| &it.name), "page");
    for page in &files.layout.pages {
        if page.visuals.is_empty() {
            check.layout(page.name.span(), format!("page `{}` shows nothing", page.name.as_ref()), None);
        }
        names(check, page.visuals.iter().map(|it| &it.name), "visual");
        for (i, it) in page.visuals.iter().enumerate() {
            visual(check, page, it);
            let covered = page.visuals[..i].iter().find(|other| overlap(it, other));
            if let Some(other) = covered {
                let message = format!("{} covers `{}`", of(page, it), other.name.as_ref());
                check.layout(it.at.span(), message, None);
            }
        }
    }
}

/// Notes which of these cannot be names, or are taken.
fn names<'a>(check: &mut Check<'_>, names: impl IntoIterator<Item = &'a Spanned<String>>, what: &str) {
    let mut seen = BTreeSet::new();
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    for it in names {
        let name: &String = it.as_ref();
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(fits) {
            let help = format!("use letters, digits, `_` and `-`, at most {LONGEST} of them");
            check.layout(it.span(), format!("`{name}` is no name of a {what}"), Some(&help));
        } else if !seen.insert(name.to_lowercase()) {
            check.layout(it.span(), format!("there are two {what}s `{name}`"), None);
        }
    }
}

fn of(page: &Page, it: &Visual) -> String {
    format!("visual `{}/{}`", page.name.as_ref(), it.name.as_ref())
}

fn visual(check: &mut Check<'_>, page: &Page, it: &Visual) {
    let who = of(page, it);
    let ([x, y], [width, height]) = (*it.at.as_ref(), *it.size.as_ref());
    if width < 1 || height < 1 {
        check.layout(it.size.span(), format!("{who} has no size"), None);
    } else if x < 0 || y < 0 || x + width > CANVAS[0] || y + height > CANVAS[1] {
        let message = format!("{who} reaches beyond the page, which has {} × {}", CANVAS[0], CANVAS[1]);
        check.layout(it.at.span(), message, None);
    }
    if it.title.as_ref().is_empty() {
        check.layout(it.title.span(), format!("{who} has no title"), None);
    }
    let form = *it.kind.as_ref();
    if it.single && form != Form::Slicer {
        check.layout(it.name.span(), format!("{who} is no slicer, and cannot be `single`"), None);
    }
    let roles = form.roles();
    for (role, fields) in &it.fields {
        let Some((_, takes, _)) = roles.iter().find(|known| known.0 == role) else {
            let names: Vec<&str> = roles.iter().map(|it| it.0).collect();
            let help = format!("its roles are: {}", names.join(", "));
            let at = fields.first().map_or_else(|| it.name.span(), Spanned::span);
            check.layout(at, format!("{who} has no role `{role}`"), Some(&help));
            continue;
        };
        for field in fields {
            field_of(check, &who, role, *takes, field);
        }
    }
    for (role, _, needed) in roles {
        if *needed && it.fields.get(*role).is_none_or(Vec::is_empty) {
            check.layout(it.name.span(), format!("{who} needs a field in its role `{role}`"), None);
        }
    }
    if let Some(sort) = &it.sort
        && !it.fields.values().flatten().any(|it| it.as_ref() == sort.by.as_ref())
    {
        check.layout(
            sort.by.span(),
            format!("{who} is sorted by `{}`, which it does not show", sort.by.as_ref()),
            None,
        );
    }
}

fn field_of(check: &mut Check<'_>, who: &str, role: &str, takes: Takes, field: &Spanned<String>) {
    let text: &String = field.as_ref();
    let Some(target) = dax::field(text) else {
        let help = "a field is the title of a figure, or `Table[Column]`";
        return check.layout(field.span(), format!("{who}: `{text}` is no field"), Some(help));
    };
    if let Some((message, help)) = check.names.unknown(&target) {
        return check.layout(field.span(), format!("{who}: {message}"), Some(&help));
    }
    let wrong = match (takes, target) {
        (Takes::Measures, Target::Column(..)) => "a measure, and this is a column",
        (Takes::Columns, Target::Measure(_)) => "a column, and this is a measure",
        _ => return,
    };
    check.layout(field.span(), format!("{who}: its role `{role}` takes {wrong}"), None);
}

fn overlap(a: &Visual, b: &Visual) -> bool {
    let apart = |i: usize| {
        let (a_at, b_at) = (a.at.as_ref()[i], b.at.as_ref()[i]);
        a_at + a.size.as_ref()[i] <= b_at || b_at + b.size.as_ref()[i] <= a_at
    };
    !apart(0) && !apart(1)
}
