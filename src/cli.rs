//! The command line. Parses; does nothing.
