//! Log lines as users of the original know them: `[INFO] 2021-09-03T00:39:23Z message`, on stderr.

use std::fmt;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts logging: at `debug` when verbose, else as [`VARIABLE`] says, else at `info`.
pub(crate) fn start(is_verbose: bool) {
    let asked = std::env::var(VARIABLE).ok();
    let parsed = asked.as_deref().map(|text| text.parse::<LevelFilter>());
    let level = match (is_verbose, &parsed) {
        (true, _) => LevelFilter::DEBUG,
        (false, Some(Ok(level))) => *level,
        (false, None | Some(Err(_))) => LevelFilter::INFO,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        // It would say so on stderr, and panic where that is what is broken.
        .log_internal_errors(false)
        .event_format(Lines)
        .finish();
    // Fails only if logging has been started before, and then it works.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if let (Some(text), Some(Err(_))) = (asked, parsed) {
        tracing::warn!("{VARIABLE}={text:?} is not off, error, warn, info, debug or trace");
    }
}

struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            Level::INFO => "INFO",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        write!(writer, "[{level}] {} ", timestamp(since.as_secs()))?;
        let mut line = String::new();
        context
            .field_format()
            .format_fields(Writer::new(&mut line), event)?;
        writeln!(writer, "{}", printable(&line))
    }
}

/// Text for a terminal or a log: parts of it may be a peer's words, which must not make lines of
/// their own or speak to the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// UTC as RFC 3339 writes it, in whole seconds.
fn timestamp(since_s: u64) -> String {
    let (day, second) = (since_s / 86_400, since_s % 86_400);
    // Days are counted from 0000-03-01, so that a leap day ends its year, in cycles of 400 years.
    let day = day + 719_468;
    let (cycle, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let day = day - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = cycle * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Environment variable with the least level that is logged.
const VARIABLE: &str = "FLEXDIRECT_LOG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        let text = "refused: \u{1b}[2Jé\n[INFO] lease 1: ended\u{9b}1m";
        assert_eq!(printable(text), "refused: ?[2Jé?[INFO] lease 1: ended?1m");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(timestamp(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(1_630_629_563), "2021-09-03T00:39:23Z");
        assert_eq!(timestamp(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(timestamp(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
