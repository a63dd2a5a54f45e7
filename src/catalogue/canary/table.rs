//! The table that rows of a canary are written to.

use super::Numbers;
use crate::catalogue::servers::table::Table;
use crate::model::time::Timestamp;

/// Where they are unless it is written.
pub(crate) fn usual() -> Table {
    Table::try_from("lifeboat_canary".to_owned()).expect("letters and a `_`")
}

/// Asks which of the numbers are there.
pub(crate) fn query(table: &Table, series: &str, numbers: Numbers) -> String {
    format!("select number from {table} where series = '{series}' and number > {} and number <= {}", numbers.after, numbers.last)
}

/// Removes one.
pub(crate) fn removal(table: &Table, series: &str, number: u64) -> String {
    format!("delete from {table} where series = '{series}' and number = {number}")
}

/// Seconds since 1970 with their fraction, as servers write them.
///
/// # Errors
/// In one line, when they are none.
pub(crate) fn seconds_as_time(seconds: Option<String>) -> Result<Timestamp, String> {
    let seconds = seconds.ok_or("the server does not say when")?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((&seconds, ""));
    let nanos = format!("{fraction:0<9}");
    let wrong = || format!("the server's clock says \"{seconds}\"");
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let nanos: i64 = nanos.get(..9).and_then(|nanos| nanos.parse().ok()).ok_or_else(wrong)?;
    Ok(Timestamp::from_nanos(whole.saturating_mul(1_000_000_000).saturating_add(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_to_the_nanosecond() {
        let read = |text: &str| seconds_as_time(Some(text.to_owned())).map(Timestamp::as_nanos);
        assert_eq!(read("1795390031.123456"), Ok(1_795_390_031_123_456_000));
        assert_eq!(read("1795390031"), Ok(1_795_390_031_000_000_000));
        assert!(read("soon").is_err() && read("1.x").is_err() && seconds_as_time(None).is_err());
    }
}
