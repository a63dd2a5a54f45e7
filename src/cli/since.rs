//! When the disruption began that a runbook is executed for: only people know that, and the recovery is measured from there.

use super::guarded::typed;
use crate::engine::clock::wall;
use crate::model::text::Lang;
use crate::model::time::{Span, Timestamp};
use crate::observe::language;

const QUESTION: &str = "When did the disruption begin? A time such as 2026-11-22T23:27:11Z, or how long ago such as 10m; Enter if nobody knows: ";
const QUESTION_ZH: &str = "中断何时开始？可输入时刻（如 2026-11-22T23:27:11Z）或多久以前（如 10m）；无人知晓则直接回车：";

/// Asks until there is an answer that can be: a time that is over. Nothing when nobody knows, or nobody is there any more.
pub(super) fn asked() -> Option<Timestamp> {
    let asked = if language() == Lang::Zh { QUESTION_ZH } else { QUESTION };
    let mut question = asked.to_owned();
    loop {
        let line = typed(&question).filter(|line| !line.is_empty())?;
        match read(&line, wall()) {
            Ok(since) => return Some(since),
            Err(why) => question = format!("{why}. {asked}"),
        }
    }
}

/// What was typed: a time, or how long ago.
fn read(line: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(ago) = line.trim_end_matches("ago").trim().parse::<Span>() {
        let nanos = i64::try_from(ago.duration().as_nanos()).ok().and_then(|nanos| now.as_nanos().checked_sub(nanos));
        return nanos.map(Timestamp::from_nanos).ok_or_else(|| format!("`{line}` is too long ago"));
    }
    let since: Timestamp = line.parse()?;
    if since > now { Err(format!("{since} lies in the future")) } else { Ok(since) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago_and_nothing_in_the_future() {
        let now: Timestamp = "2026-11-22T23:30:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>();
        assert_eq!(read("10m", now), at("2026-11-22T23:20:00Z"));
        assert_eq!(read("1m30s ago", now), at("2026-11-22T23:28:30Z"));
        assert_eq!(read("2026-11-23T07:27:11+08:00", now), at("2026-11-22T23:27:11Z"));
        assert_eq!(read("2026-11-22T23:30:01Z", now), Err("2026-11-22T23:30:01.000000000Z lies in the future".into()));
        assert!(read("yesterday", now).unwrap_err().contains("is not a time"));
    }
}
