//! The reports of the sample runs, as files to read, and what must hold for any report.

use super::*;
use crate::model::event::samples;
use crate::model::event::{Body, RunEvent};

const HEAD: &str = "c6f20f3e9a7d4b58c6f20f3e9a7d4b58c6f20f3e9a7d4b58c6f20f3e9a7d1135";

fn runs() -> Vec<(&'static str, Vec<Event>)> {
    vec![
        ("success", samples::success()),
        ("shifted", samples::shifted()),
        ("failure", samples::failure()),
        ("aborted", samples::aborted()),
        ("emergency", samples::emergency()),
    ]
}

#[test]
fn reports_of_the_sample_runs() {
    for (name, events) in runs() {
        insta::assert_snapshot!(format!("{name}.en"), render(&events, HEAD, Lang::En));
        insta::assert_snapshot!(format!("{name}.zh"), render(&events, HEAD, Lang::Zh));
    }
}

#[test]
fn pictures_of_the_sample_runs() {
    for (name, events) in runs() {
        for (file, svg) in charts(&events) {
            insta::assert_snapshot!(format!("{name}.{file}"), svg);
        }
    }
}

#[test]
fn the_same_events_give_the_same_bytes_after_a_round_trip() {
    for (_, events) in runs() {
        let lines: Vec<String> = events.iter().map(|event| serde_json_canonicalizer::to_string(event).unwrap()).collect();
        let read: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        for lang in [Lang::En, Lang::Zh] {
            assert_eq!(render(&read, HEAD, lang), render(&events, HEAD, lang));
        }
        assert_eq!(charts(&read), charts(&events));
    }
}

#[test]
fn every_prefix_of_a_run_has_a_report() {
    for (_, events) in runs() {
        for end in 0..events.len() {
            for lang in [Lang::En, Lang::Zh] {
                let report = render(&events[..end], HEAD, lang);
                assert!(report.starts_with("# ") && report.ends_with('\n'));
            }
            let _ = charts(&events[..end]);
        }
    }
}

#[test]
fn both_languages_have_the_same_sections_tables_and_times() {
    for (name, events) in runs() {
        let (en, zh) = (render(&events, HEAD, Lang::En), render(&events, HEAD, Lang::Zh));
        let shape = |report: &str| -> Vec<String> {
            let line = |line: &str| {
                if line.starts_with('|') {
                    format!("row of {}", line.replace("\\|", "").matches('|').count())
                } else {
                    line.chars().take_while(|c| *c == '#' || c.is_ascii_digit() || *c == ' ').collect()
                }
            };
            report.lines().filter(|line| line.starts_with('|') || line.starts_with('#')).map(line).collect()
        };
        assert_eq!(shape(&en), shape(&zh), "{name}");
        let times = |report: &str| {
            report
                .split(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
                .filter(|word| word.len() == 12 && word.matches(':').count() == 2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(times(&en), times(&zh), "{name}");
    }
}

#[test]
fn pictures_named_in_the_report_exist() {
    for (name, events) in runs() {
        let files: Vec<String> = charts(&events).into_iter().map(|(file, _)| file).collect();
        for lang in [Lang::En, Lang::Zh] {
            let report = render(&events, HEAD, lang);
            let named: Vec<&str> =
                report.lines().filter(|line| line.starts_with("![")).filter_map(|line| line.rsplit_once("](")?.1.strip_suffix(')')).collect();
            assert_eq!(named.len() * 2, files.len(), "{name}");
            assert!(named.iter().all(|file| files.iter().any(|known| known == file)), "{name}");
        }
    }
}

#[test]
fn hostile_texts_do_not_break_tables_or_pictures() {
    let mut events = samples::success();
    let evil = "a | b\n# c <script>alert(1)</script> `x` ](y) \u{202e}";
    let Body::Run(RunEvent::Started { plan, operator, .. }) = &mut events[0].body else { panic!("starts") };
    plan.title.en = Some(evil.to_owned());
    plan.probes[2].title.en = Some(evil.to_owned());
    plan.failover.steps[0].title.en = Some(evil.to_owned());
    operator.push_str("x | y\n# z");
    let report = render(&events, HEAD, Lang::En);
    assert!(!report.contains("<script") && !report.contains("\n# c") && !report.contains('\u{202e}'));
    let plain = render(&samples::success(), HEAD, Lang::En);
    assert_eq!(report.lines().count(), plain.lines().count(), "no text adds a line");
    for (_, svg) in charts(&events) {
        assert!(!svg.contains("<script"));
    }
}

#[test]
fn a_journal_that_is_none_still_gives_a_page() {
    let mut events = samples::success();
    events.remove(3);
    let report = render(&events, HEAD, Lang::En);
    assert!(report.contains("event 5 cannot follow"), "{report}");
    assert!(charts(&events).is_empty());
}

#[test]
fn what_was_changed_by_others_is_no_longer_called_in_place() {
    let events = samples::put_back_by_others();
    for (lang, wanted, gone) in [
        (
            Lang::En,
            ["what Shift DNS weights `failover/shift-dns` made was changed since", "▲ kept, but changed since", "cannot be read: no answer"],
            "is still in place",
        ),
        (Lang::Zh, ["所做的变更此后被改动", "▲ 保留，但此后被改动", "判定前再次读取每项保留的变更"], "切换所做变更仍然保留"),
    ] {
        let report = render(&events, HEAD, lang);
        for part in wanted {
            assert!(report.contains(part), "`{part}` is not in: {report}");
        }
        assert!(!report.contains(gone), "{report}");
    }
    assert!(render(&samples::emergency(), HEAD, Lang::En).contains("is still in place: it was read once more"));
}
