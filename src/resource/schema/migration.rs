//! Migrations as files: `<version>_<name>.sql`.

use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    resource::{Error, Result},
    template::Templates,
};

/// One migration, in the form in which the function takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Migration {
    pub(super) version: String,
    pub(super) name: String,
    pub(super) sql: String,
    pub(super) checksum: String,
}

impl Migration {
    /// Normalises the text, so that neither line ends nor a mark at the beginning nor blanks at the end count: Git and
    /// editors change these on their own.
    pub(super) fn new(version: String, name: String, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
        let sql = text.trim_end().to_owned();
        let checksum = Sha256::digest(sql.as_bytes()).iter().map(|it| format!("{it:02x}")).collect();
        Self { version, name, sql, checksum }
    }
}

/// Reads the migrations of a folder below `templates/`, by version.
pub(super) fn read(templates: &Templates, folder: &Path) -> Result<Vec<Migration>> {
    let mut found: Vec<Migration> = Vec::new();
    for file in templates.list(folder)?.iter().filter(|it| it.extension().is_some_and(|it| it == "sql")) {
        let stem = file.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        let (version, name) = stem.split_once('_').filter(|(version, _)| is_version(version)).ok_or_else(|| {
            let file = file.display();
            Error::Unusable(format!("`{file}` is no name for a migration: it looks like `0001_orders.sql`"))
        })?;
        if found.last().is_some_and(|it| it.version == version) {
            return Err(Error::Unusable(format!(
                "two migrations in `{}` have the version {version}",
                folder.display()
            )));
        }
        if found.last().is_some_and(|it| it.version.len() != version.len()) {
            let text = format!("the versions in `{}` differ in length, so their order is not clear", folder.display());
            return Err(Error::Unusable(text));
        }
        found.push(Migration::new(version.to_owned(), name.to_owned(), &templates.read(file)?));
    }
    if found.is_empty() {
        return Err(Error::Unusable(format!("there are no migrations in `{}`", folder.display())));
    }
    Ok(found)
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing;

    fn read_all(files: &[(&str, &str)]) -> Result<Vec<Migration>> {
        let (cx, _root) = testing::cx_with(files);
        read(&cx.templates, Path::new("m"))
    }

    #[test]
    fn checksums_do_not_see_what_git_and_editors_change() {
        let checksum = |text| Migration::new("1".into(), "x".into(), text).checksum;
        let plain = checksum("select 1;\nselect 2;");
        assert_eq!(plain, checksum("\u{feff}select 1;\r\nselect 2;\r\n \n"));
        assert_ne!(plain, checksum("select 1;\n\nselect 2;"));
        // printf 'select 1;\nselect 2;' | sha256sum
        assert_eq!(plain, "b1a668cc8f385c71b9d64504067d5145d91dcf27d37d8201c08c65a20268cab9");
    }

    #[test]
    fn files_are_read_by_version() {
        let found = read_all(&[("m/0002_b.sql", "b"), ("m/0001_a_table.sql", "a"), ("m/README.md", "")]);
        let names: Vec<_> = found.expect("two files").into_iter().map(|it| (it.version, it.name)).collect();
        assert_eq!(names, [("0001".into(), "a_table".into()), ("0002".into(), "b".into())]);
    }

    #[test]
    fn mistakes() {
        let said = |files: &[(&str, &str)]| read_all(files).expect_err("a mistake").to_string();
        assert!(said(&[("m/orders.sql", "")]).contains("is no name for a migration"));
        assert!(said(&[("m/1_a.sql", ""), ("m/1_b.sql", "")]).contains("have the version 1"));
        assert!(said(&[("m/10_a.sql", ""), ("m/9_b.sql", "")]).contains("differ in length"));
        assert!(said(&[("m/README.md", "")]).contains("no migrations"));
    }
}
