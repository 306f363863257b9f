//! Times on the command line.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// A day, from its midnight in UTC, or a moment, in unix seconds.
pub(super) fn since(text: &str) -> Result<i64, String> {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(moment.unix_timestamp());
    }
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    day.map(|day| day.midnight().assume_utc().unix_timestamp())
        .map_err(|_| "is neither a day (2026-11-22) nor a moment (2026-11-22T08:00:00Z)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_its_midnight_in_utc() {
        assert_eq!(since("1970-01-02"), Ok(86_400));
        assert_eq!(since("1970-01-02T00:00:01Z"), Ok(86_401));
        assert_eq!(since("1970-01-02T01:00:00+01:00"), Ok(86_400));
        for wrong in ["yesterday", "1970-13-01", "", "86400"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
