//! `ecomctl schema`: what stack files may say, for editors.

use std::{io::Write, path::Path};

use crate::{resource::Kind, stack::schema};

/// Print the JSON Schema of stack files
///
/// The project keeps it in `stacks/stack.schema.json`, to which the first line of every stack file points editors:
/// `# yaml-language-server: $schema=stack.schema.json`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ecomctl schema > stacks/stack.schema.json
")]
pub struct SchemaArgs {
    /// Accepted for uniformity: a schema is JSON anyway
    #[arg(long, hide = true)]
    pub json: bool,
}

/// Writes the schema.
///
/// # Errors
/// The result could not be written.
pub fn run(_: &SchemaArgs, _: &Path, kinds: &[&dyn Kind], out: &mut dyn Write) -> Result<(), super::Failed> {
    Ok(write!(out, "{}", schema::text(kinds))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::kinds::KINDS;

    #[test]
    fn it_is_json_and_knows_the_kinds() {
        let mut out = Vec::new();
        run(&SchemaArgs { json: false }, Path::new("."), KINDS, &mut out).expect("written");
        let it: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert!(it["$defs"]["topic"]["properties"]["partitions"].is_object());
    }
}
