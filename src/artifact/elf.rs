//! What a binary asks of the system that loads it: processor, glibc, shared libraries.
//!
//! Reads the file's tables; runs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use object::{
    Endianness,
    elf::{self, FileHeader64},
    read::elf::{FileHeader as _, SectionTable, Sym as _},
};

use super::Architecture;

type Sections<'a> = SectionTable<'a, FileHeader64<Endianness>>;

/// The glibc of Amazon Linux 2023, which `provided.al2023` is made of.
pub const GLIBC: Version = Version(2, 34);

/// Libraries that `provided.al2023` has: glibc's own and gcc's runtime.
const LIBRARIES: [&str; 8] = [
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
];

/// A version of glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(
    /// Two, for two decades and more.
    pub u32,
    /// What changes twice a year.
    pub u32,
);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Version {
    type Err = ();

    /// Reads `GLIBC_2.34`, or `GLIBC_2.3.4`, whose third number does not matter here.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.strip_prefix("GLIBC_").ok_or(())?.split('.').map(|it| it.parse().map_err(|_| ()));
        let (major, minor) = (numbers.next().ok_or(())??, numbers.next().ok_or(())??);
        Ok(Self(major, minor))
    }
}

/// Why a binary would not start where it is to run.
#[derive(Debug, thiserror::Error)]
pub enum Unsuited {
    /// Not a program for Linux.
    #[error("not a 64-bit ELF file that can be read: {0}")]
    Unreadable(String),
    /// Built for something else.
    #[error("it is built for another processor (ELF machine {found}, expected {expected})")]
    Machine {
        /// The number in the file.
        found: u16,
        /// The number that the architecture has.
        expected: u16,
    },
    /// Needs a newer glibc.
    #[error("it needs glibc {newest}, and there is {limit} ({})", .symbols.join(", "))]
    Glibc {
        /// The newest version that it needs.
        newest: Version,
        /// The newest version that there is.
        limit: Version,
        /// What it needs newer versions of, as `symbol@GLIBC_2.36`.
        symbols: Vec<String>,
    },
    /// Needs libraries that are not there.
    #[error("it needs shared libraries that are not there: {}", .0.join(", "))]
    Libraries(Vec<String>),
}

impl From<object::read::Error> for Unsuited {
    fn from(err: object::read::Error) -> Self {
        Self::Unreadable(err.to_string())
    }
}

/// Checks that a binary starts on `provided.al2023`.
pub(super) fn check(binary: &[u8], architecture: Architecture) -> Result<(), Unsuited> {
    check_against(binary, architecture, GLIBC)
}

fn check_against(binary: &[u8], architecture: Architecture, limit: Version) -> Result<(), Unsuited> {
    let header = FileHeader64::<Endianness>::parse(binary)?;
    let endian = header.endian()?;
    let expected = match architecture {
        Architecture::Arm64 => elf::EM_AARCH64,
        Architecture::X86 => elf::EM_X86_64,
    };
    let found = header.e_machine(endian);
    if found != expected {
        return Err(Unsuited::Machine { found: found.0, expected: expected.0 });
    }
    let sections = header.sections(endian, binary)?;
    let libraries = missing_libraries(&sections, endian, binary)?;
    if !libraries.is_empty() {
        return Err(Unsuited::Libraries(libraries));
    }
    let too_new = newer_versions(&sections, endian, binary, limit)?;
    let Some(newest) = too_new.values().map(|it| it.0).max() else { return Ok(()) };
    let mut symbols = BTreeSet::new();
    if let Some((versyms, link)) = sections.gnu_versym(endian, binary)? {
        let table = sections.symbol_table_by_index(endian, binary, link)?;
        for (symbol, versym) in table.iter().zip(versyms) {
            if let Some((_, name)) = too_new.get(&versym.0.get(endian).index().0) {
                symbols.insert(format!("{}@{name}", String::from_utf8_lossy(symbol.name(endian, table.strings())?)));
            }
        }
    }
    if symbols.is_empty() {
        symbols.extend(too_new.into_values().map(|(_, name)| name));
    }
    Err(Unsuited::Glibc { newest, limit, symbols: symbols.into_iter().collect() })
}

/// Lists the shared libraries asked for that Lambda does not have.
fn missing_libraries(sections: &Sections<'_>, endian: Endianness, binary: &[u8]) -> Result<Vec<String>, Unsuited> {
    let table = sections.dynamic_table(endian, binary)?;
    let mut missing = Vec::new();
    for entry in table.iter().filter(|it| it.tag == elf::DT_NEEDED) {
        let name = String::from_utf8_lossy(table.string(entry)?);
        if !LIBRARIES.contains(&name.as_ref()) {
            missing.push(name.into_owned());
        }
    }
    Ok(missing)
}

/// Lists the versions of glibc asked for that are beyond the limit, by their number in the file.
fn newer_versions(
    sections: &Sections<'_>,
    endian: Endianness,
    binary: &[u8],
    limit: Version,
) -> Result<BTreeMap<u16, (Version, String)>, Unsuited> {
    let mut found = BTreeMap::new();
    let Some((mut needs, link)) = sections.gnu_verneed(endian, binary)? else { return Ok(found) };
    let strings = sections.strings(endian, binary, link)?;
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(need) = versions.next()? {
            let name = String::from_utf8_lossy(need.name(endian, strings)?).into_owned();
            // The loader only warns about a version that nothing but weak symbols need.
            let weak = need.vna_flags.get(endian).contains(elf::VER_FLG_WEAK);
            if let Ok(version) = name.parse::<Version>()
                && version > limit
                && !weak
            {
                found.insert(need.vna_other.get(endian).0, (version, name));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This very test binary: linked to the machine's own glibc.
    fn own() -> (Vec<u8>, Architecture) {
        let path = std::env::current_exe().expect("tests are a program");
        (std::fs::read(path).expect("readable"), Architecture::host().expect("tests run where Lambda could"))
    }

    #[test]
    fn own_binary_runs_on_what_it_was_linked_to() {
        let (binary, architecture) = own();
        check_against(&binary, architecture, Version(2, 999)).expect("no version is that new");
    }

    #[test]
    fn newer_symbols_are_named() {
        let (binary, architecture) = own();
        let err = check_against(&binary, architecture, Version(2, 0)).expect_err("std needs more than that");
        let Unsuited::Glibc { newest, limit, symbols } = err else { panic!("{err}") };
        assert!(newest > limit, "{newest}");
        assert!(symbols.iter().any(|it| it.starts_with("__libc_start_main@GLIBC_2.")), "{symbols:?}");
    }

    /// The same binary with one version renamed to a future one, which only the table of needed versions tells.
    #[test]
    fn future_glibc_is_refused() {
        let (mut binary, architecture) = own();
        let at: Vec<usize> =
            binary.windows(11).enumerate().filter(|(_, it)| *it == b"GLIBC_2.34\0").map(|(at, _)| at).collect();
        assert!(!at.is_empty(), "std needs 2.34 where glibc has it");
        for at in at {
            binary[at + 8..at + 10].copy_from_slice(b"99");
        }
        let text = check(&binary, architecture).expect_err("2.99 is newer than 2.34").to_string();
        assert!(text.starts_with("it needs glibc 2.99, and there is 2.34 ("), "{text}");
        assert!(text.contains("@GLIBC_2.99"), "{text}");
    }

    #[test]
    fn other_processors_and_other_files_are_refused() {
        let (mut binary, architecture) = own();
        assert!(matches!(check(b"#!/bin/sh\n", architecture), Err(Unsuited::Unreadable(_))));
        assert!(matches!(check(&binary[..400], architecture), Err(Unsuited::Unreadable(_))));
        let other = if architecture == Architecture::X86 { Architecture::Arm64 } else { Architecture::X86 };
        assert!(matches!(check(&binary, other), Err(Unsuited::Machine { .. })));
        let name = b"libc.so.6\0";
        let at = binary.windows(name.len()).position(|it| it == name).expect("linked dynamically");
        binary[at..at + 4].copy_from_slice(b"libx");
        assert!(matches!(check(&binary, architecture), Err(Unsuited::Libraries(it)) if it == ["libx.so.6"]));
    }
}
