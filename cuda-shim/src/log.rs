//! The log: lines on standard error, as many as `FLEXDIRECT_LOG` asks for.
//!
//! This library lives in other people's processes, so it takes no logging framework with it: a line
//! is put together in memory and written with one write(2), so that lines of several threads do not
//! mix.

use std::fmt;
use std::sync::OnceLock;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What keeps the program from working: always told.
    Error,
    /// What may surprise: absent calls, ignored options.
    Warn,
    /// What happened: the connection, its end.
    Info,
    /// Every call.
    Trace,
}

/// Whether lines of this level are wanted.
pub(crate) fn wants(level: Level) -> bool {
    static WANTED: OnceLock<Level> = OnceLock::new();
    level <= *WANTED.get_or_init(|| parse(std::env::var(VARIABLE).ok().as_deref()))
}

/// Writes one line, if it is wanted.
pub(crate) fn line(level: Level, text: fmt::Arguments<'_>) {
    if wants(level) {
        write(&format!("flexdirect: {text}\n"));
    }
}

fn parse(value: Option<&str>) -> Level {
    match value {
        Some("error") => Level::Error,
        Some("info") => Level::Info,
        Some("trace") => Level::Trace,
        _ => Level::Warn,
    }
}

/// Past the lock of `std::io::stderr`, which another thread may have held when the process forked:
/// `AsFd` takes no lock.
fn write(line: &str) {
    // A log that cannot be written has nobody to tell.
    let _ = nix::unistd::write(std::io::stderr(), line.as_bytes());
}

macro_rules! error { ($($text:tt)*) => {
    $crate::log::line($crate::log::Level::Error, format_args!($($text)*))
} }
macro_rules! warning { ($($text:tt)*) => {
    $crate::log::line($crate::log::Level::Warn, format_args!($($text)*))
} }
macro_rules! info { ($($text:tt)*) => {
    $crate::log::line($crate::log::Level::Info, format_args!($($text)*))
} }
pub(crate) use {error, info, warning};

const VARIABLE: &str = "FLEXDIRECT_LOG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names() {
        assert_eq!(parse(Some("error")), Level::Error);
        assert_eq!(parse(Some("trace")), Level::Trace);
        assert_eq!(parse(Some("nonsense")), Level::Warn);
        assert_eq!(parse(None), Level::Warn);
        assert!(Level::Error < Level::Trace);
    }
}
