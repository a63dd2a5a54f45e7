//! The reports of the sample runs, as files to read, and what must hold for any report.

use super::*;
use crate::model::event::probe::{ProbeEvent, ProbeKind};
use crate::model::event::samples;
use crate::model::event::step::StepKind;
use crate::model::event::{Body, RunEvent, StepEvent};
use crate::model::plan::{Objective, Plan, ProbeState};

pub(super) const HEAD: &str = "c6f20f3e9a7d4b58c6f20f3e9a7d4b58c6f20f3e9a7d4b58c6f20f3e9a7d1135";

pub(super) fn render(events: &[Event], head_hash: &str, lang: Lang) -> String {
    Report::of(events, head_hash).markdown(lang)
}

fn charts(events: &[Event]) -> Vec<(String, String)> {
    Report::of(events, HEAD).pictures()
}

pub(super) fn runs() -> Vec<(&'static str, Vec<Event>)> {
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

/// The events of a sample run with its plan changed.
fn planned(mut events: Vec<Event>, change: impl Fn(&mut Plan)) -> Vec<Event> {
    let Body::Run(RunEvent::Started { plan, .. }) = &mut events[0].body else { panic!("starts") };
    change(plan);
    events
}

/// The first row of a table that begins so.
fn row<'a>(report: &'a str, begins: &str) -> &'a str {
    report.lines().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("no {begins} in {report}"))
}

#[test]
fn counts_and_share_of_a_row_are_of_the_same_samples() {
    let mut events = samples::success();
    let at = events.iter().position(|event| event.at >= samples::t(33_000)).unwrap();
    // While everything was taken back a thousand more were good.
    let mut late = events[at].clone();
    let tally = ProbeKind::Tally {
        from: samples::t(28_020),
        to: samples::t(33_000),
        good: 1000,
        bad: 0,
        unknown: 0,
        late: 0,
        missed: 0,
        told: Some(samples::t(33_000)),
        untold: None,
    };
    late.body = Body::Probe(ProbeEvent { probe: "storefront".to_owned(), kind: tally });
    events.insert(at, late);
    for (event, seq) in events.iter_mut().zip(1..) {
        event.seq = seq;
    }
    let report = render(&events, HEAD, Lang::En);
    let row = row(&report, "| Storefront `storefront` | `http`");
    assert!(row.contains("| 75 / 65 / 0 / 0 / 1 | 53.57 % |"), "75 of 140: {row}");
}

#[test]
fn users_are_spoken_of_only_where_monitoring_counts_theirs() {
    let of = |uses: &str, lang| {
        let events = planned(samples::shifted(), |plan| {
            plan.probes.iter_mut().filter(|probe| probe.id == "share").for_each(|probe| probe.uses = uses.to_owned());
        });
        render(&events, HEAD, lang) + &charts(&events).into_iter().map(|(_, svg)| svg).collect::<String>()
    };
    for uses in ["http.share", "exec"] {
        let own = of(uses, Lang::En);
        assert!(own.contains("until 95 % of the tool's own samples were at the target: 2.15 s (1.99–2.31)"), "{uses}: {own}");
        for word in ["requests", "Requests", "drained", "customers served"] {
            assert!(!own.contains(word), "{uses}: {word}");
        }
        assert!(!of(uses, Lang::Zh).contains("请求占比"));
    }
    for uses in ["prometheus", "aws.cloudwatch.metric"] {
        let users = of(uses, Lang::En);
        assert!(
            users.contains("until 95 % of the requests were at the target: 2.15 s") && users.contains("Until the old side was drained"),
            "{uses}"
        );
        assert!(of(uses, Lang::Zh).contains("目标侧请求占比"));
    }
}

#[test]
fn intervals_are_written_with_their_own_bounds() {
    let mut events = samples::success();
    for event in &mut events {
        if let Body::Probe(ProbeEvent { probe, kind: ProbeKind::Edge { to: ProbeState::Bad, likely, .. } }) = &mut event.body
            && probe == "storefront"
        {
            // A request that hung: it went down when that was sent.
            *likely = Some(samples::t(4_650));
        }
    }
    let (en, zh) = (render(&events, HEAD, Lang::En), render(&events, HEAD, Lang::Zh));
    assert!(row(&en, "| RTO, from disruption: Storefront").contains("| 13.16 s (12.59–13.41)<br>"), "{en}");
    assert!(row(&zh, "| RTO（自中断起）：商城首页").contains("| 13.16 秒（12.59–13.41）<br>"), "{zh}");
    for (_, events) in runs() {
        for lang in [Lang::En, Lang::Zh] {
            assert!(!render(&events, HEAD, lang).contains('±'));
        }
    }
}

#[test]
fn a_ttl_that_is_longer_than_a_recovery_may_take_is_named() {
    let with_ttl = |seconds: u64| {
        let mut events = samples::success();
        for event in &mut events {
            if let Body::Step(StepEvent { step, kind: StepKind::Intended { before, .. } }) = &mut event.body
                && step == "failover/shift-dns"
            {
                *before = serde_json::json!([{"label": "aws", "ttl": 5}, {"label": "aliyun", "ttl": seconds}]);
            }
        }
        [Lang::En, Lang::Zh].map(|lang| render(&events, HEAD, lang))
    };
    let [en, zh] = with_ttl(86_400);
    assert!(en.contains("before the change: 86400 s.") && en.contains("▲ That is longer than the RTO of Storefront `storefront`, 60 s.\n"), "{en}");
    assert!(row(&en, "| RTO, from disruption: Storefront").contains("<br>users who keep names: ≤ 1440:13.5 |"), "{en}");
    assert!(zh.contains("：86400 秒。") && zh.contains("▲ 超过 RTO： 商城首页 `storefront`，60 秒。\n"), "{zh}");
    let [en, zh] = with_ttl(60);
    assert!(!en.contains("longer than the RTO") && !zh.contains("超过 RTO") && zh.contains("：60 秒。"), "{en}");
}

#[test]
fn what_is_no_service_also_tells_the_time_from_the_fault() {
    let asked = |id: &'static str| {
        let rto: Objective = serde_json::from_value(serde_json::json!({ "rto": "30s" })).unwrap();
        render(&planned(samples::success(), move |plan| _ = plan.objectives.insert(id.to_owned(), rto)), HEAD, Lang::En)
    };
    // Bad from 6.492–7 s to 19.492–20 s; the fault took effect between 4.15 and 5.3 s.
    assert!(
        row(&asked("orders"), "| RTO, from disruption: Orders").contains("| 13.00 s (12.49–13.51)<br>from the fault: 15.02 s (14.19–15.85) | – |")
    );
    assert!(!row(&asked("storefront"), "| RTO, from disruption: Storefront").contains("from the fault"), "users felt it themselves");
}

#[test]
fn what_was_not_restored_is_said_to_have_lasted_as_long_as_is_proved() {
    let events = samples::failure();
    let report = render(&events, HEAD, Lang::En);
    // First bad sample done at 5.01 s, the last one known to be bad sent at 66.1 s.
    assert!(report.contains("60.7 s, still down; ≥ 61.0 s / RTO 60 s]"), "{report}");
    let (_, svg) = charts(&events).into_iter().find(|(file, _)| file == "waterfall.en.svg").unwrap();
    assert!(svg.contains(">≥ 61.0 s<") && !svg.contains("≥ 61.3"), "{svg}");
    let report = render(&events, HEAD, Lang::Zh);
    assert!(report.contains("60.7 秒，仍中断；≥ 61.0 秒"), "{report}");
}
