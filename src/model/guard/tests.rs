//! Every guard, from facts to its decision.

use super::*;
use crate::model::call::Cloud;
use crate::model::guard::file::GuardsFile;
use crate::model::target::{Location, Target, TargetKind};
use crate::model::time::{Span, Timestamp};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn location() -> Location {
    Location { cloud: Cloud::Aws, account: None, region: Some("us-east-1".into()) }
}

/// A drill on a Tuesday at ten in Shanghai, started by ann.
fn facts() -> Facts {
    let account = |cloud, id: &str| AccountFact { cloud, meant: Some(id.into()), answer: Answer::Is(id.into()), is_needed: true };
    let target = |id: &str, carries| TargetFact { step: "failover/start".into(), target: Target::at(&location(), TargetKind::Instance, id), carries };
    Facts {
        now: at("2026-11-24T02:00:00Z"),
        mode: Mode::Drill,
        environment: "staging".into(),
        is_real: true,
        accounts: vec![account(Cloud::Aws, "111122223333"), account(Cloud::Aliyun, "1234567890123456")],
        actions: vec![("fault".into(), "aliyun.region-outage".into()), ("failover/start".into(), "aws.ec2.start-instances".into())],
        regions: vec![
            RegionFact { step: String::new(), cloud: Cloud::Aws, region: Some("us-east-1".into()) },
            RegionFact { step: "fault".into(), cloud: Cloud::Aliyun, region: Some("cn-hangzhou".into()) },
        ],
        fault: Some(FaultFact { lease: Span::from_secs(120), limit: Span::from_secs(1800) }),
        targets: vec![target("i-1", Carries::All), target("i-2", Carries::All)],
        untold: Vec::new(),
        starter: Starter { me: person(1000, "ann"), ids: [1000].into(), names: ["ann".to_owned()].into() },
        approvals: Vec::new(),
        open_faults: Vec::new(),
        unseen_faults: Vec::new(),
        neighbours: Vec::new(),
        confirmed: Confirmed::No,
        overrides: Overrides::default(),
    }
}

fn person(uid: u32, name: &str) -> Person {
    Person { uid, name: name.into() }
}

fn guards(text: &str) -> Guards {
    let file: GuardsFile = serde_saphyr::from_str(text).unwrap();
    let freezes = match &file.freeze {
        Some(file::FreezeFile::Entries(entries)) => entries.iter().cloned().map(|entry| Freeze::new(entry, chrono_tz::Asia::Shanghai)).collect(),
        _ => Vec::new(),
    };
    Guards { file, freezes }
}

/// What the only guard written says.
#[track_caller]
fn check(text: &str, change: impl FnOnce(&mut Facts), outcome: Outcome, detail: &str) {
    let mut facts = facts();
    facts.accounts.clear();
    change(&mut facts);
    let decisions = evaluate(&guards(text), &facts);
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!((decisions[0].outcome, decisions[0].detail.as_str()), (outcome, detail), "{text}");
}

fn allows(text: &str, change: impl FnOnce(&mut Facts), detail: &str) {
    check(text, change, Outcome::Allows, detail);
}

fn refuses(text: &str, change: impl FnOnce(&mut Facts), detail: &str) {
    check(text, change, Outcome::Refuses, detail);
}

fn approval(uid: u32, name: &str) -> Approval {
    Approval {
        who: person(uid, name),
        voucher: Voucher::Owner { login: None },
        at: at("2026-11-24T01:00:00Z"),
        until: at("2026-11-24T09:00:00Z"),
        differs: Vec::new(),
    }
}

#[test]
fn windows_are_open_or_say_when_they_open() {
    let window = "windows: [Tue-Thu 10:00-16:00 Asia/Shanghai, Sat 09:00-10:00 UTC]";
    allows(window, |_| {}, "inside Tue-Thu 10:00-16:00 Asia/Shanghai");
    refuses(
        window,
        |facts| facts.now = at("2026-11-26T09:00:00Z"),
        "outside Tue-Thu 10:00-16:00 Asia/Shanghai and Sat 09:00-10:00 UTC; opens Sat 2026-11-28 09:00 UTC",
    );
}

#[test]
fn other_runs_are_in_the_way_where_they_share_something_and_give_way_to_a_reason() {
    let neighbour =
        |run: &str, running, shared: &[&str]| NeighbourFact { run: run.into(), running, shared: shared.iter().map(|id| (*id).into()).collect() };
    allows("{}", |facts| facts.neighbours = vec![neighbour("r1", true, &[])], "nothing is shared with run r1, which goes on");
    let shared = |facts: &mut Facts| facts.neighbours = vec![neighbour("r1", true, &[]), neighbour("r2", false, &["instance i-1", "record a"])];
    refuses("{}", shared, "run r2, which was left, acts on instance i-1, record a too");
    let mut facts = facts();
    shared(&mut facts);
    facts.overrides.of.insert(Guard::Overlap, "they know".into());
    let decisions = evaluate(&guards("{}"), &facts);
    let overlap = decisions.iter().find(|decision| decision.of() == Some(Guard::Overlap)).unwrap();
    assert!(!overlap.stands_in_the_way() && overlap.outcome == Outcome::Refuses);
    facts.mode = Mode::Emergency;
    facts.overrides = Overrides::default();
    assert!(evaluate(&guards("{}"), &facts).iter().any(|decision| decision.of() == Some(Guard::Overlap) && decision.asks()));
}

#[test]
fn freezes_hold_or_do_not() {
    let freeze = "freeze: [{ name: release, from: 2026-11-20, to: 2026-11-24 }, { name: \"11.11\", from: 11-01, to: 11-11 }]";
    refuses(freeze, |_| {}, "release, 2026-11-20 to 2026-11-24 (Asia/Shanghai)");
    allows(freeze, |facts| facts.now = at("2026-11-24T16:00:00Z"), "none of 2 freezes holds");
}

#[test]
fn approvals_are_other_peoples_of_exactly_this_and_in_time() {
    refuses("approvals: 1", |_| {}, "0 of 1 approvals by other people");
    allows("approvals: 1", |facts| facts.approvals = vec![approval(1001, "bob")], "1 of 1 approvals by other people: bob");
    refuses(
        "approvals: 1",
        |facts| facts.approvals = vec![approval(1000, "ann")],
        "0 of 1 approvals by other people; not counted: ann (whoever starts the run cannot approve it)",
    );
    // Two names for one user id are one person; two approvals of one person are one.
    refuses("approvals: 2", |facts| facts.approvals = vec![approval(1001, "bob"), approval(1001, "bob")], "1 of 2 approvals by other people: bob");
    // Whoever starts it under another of their ids, or became somebody else to approve it.
    let login = |login| Approval { voucher: Voucher::Owner { login }, ..approval(1001, "bob") };
    refuses(
        "approvals: 1",
        |facts| {
            facts.starter.ids.insert(1001);
            facts.approvals = vec![approval(1001, "bob")];
        },
        "0 of 1 approvals by other people; not counted: bob (whoever starts the run cannot approve it)",
    );
    refuses(
        "approvals: 1",
        |facts| facts.approvals = vec![login(Some(1000))],
        "0 of 1 approvals by other people; not counted: bob (whoever starts the run cannot approve it)",
    );
    allows("approvals: 1", |facts| facts.approvals = vec![login(Some(1002))], "1 of 1 approvals by other people: bob");
    // Nobody's word is none, and a key's is that of its name, whoever owns the file.
    let vouched = |uid, name: &str, voucher| Approval { voucher, ..approval(uid, name) };
    refuses(
        "approvals: 1",
        |facts| facts.approvals = vec![vouched(100_001, "uid 100001", Voucher::Nobody("uid 100001 is one of the subordinate ids of ann".into()))],
        "0 of 1 approvals by other people; not counted: uid 100001 (uid 100001 is one of the subordinate ids of ann)",
    );
    allows(
        "approvals: 1",
        |facts| facts.approvals = vec![vouched(1000, "bob", Voucher::Key("SHA256:x".into()))],
        "1 of 1 approvals by other people: bob (signed with SHA256:x)",
    );
    refuses(
        "approvals: 2",
        |facts| facts.approvals = vec![vouched(1000, "bob", Voucher::Key("SHA256:x".into())), vouched(1001, "bob", Voucher::Key("SHA256:x".into()))],
        "1 of 2 approvals by other people: bob (signed with SHA256:x)",
    );
    refuses(
        "approvals: 1",
        |facts| facts.approvals = vec![vouched(1001, "ann", Voucher::Key("SHA256:x".into()))],
        "0 of 1 approvals by other people; not counted: ann (whoever starts the run cannot approve it)",
    );
    refuses(
        "approvals: { count: 1, of: [carl], deadline: 2h }",
        |facts| facts.approvals = vec![approval(1001, "bob")],
        "0 of 1 approvals by other people; not counted: bob (not one of carl)",
    );
    refuses(
        "approvals: { count: 1, deadline: 1h }",
        |facts| facts.approvals = vec![approval(1001, "bob")],
        "0 of 1 approvals by other people; not counted: bob (ran out at 2026-11-24 02:00:00Z)",
    );
    refuses(
        "approvals: 1",
        |facts| facts.approvals = vec![Approval { until: at("2026-11-24T01:30:00Z"), ..approval(1001, "bob") }],
        "0 of 1 approvals by other people; not counted: bob (ran out at 2026-11-24 01:30:00Z)",
    );
    refuses(
        "approvals: 1",
        |facts| facts.approvals = vec![Approval { at: at("2026-11-24T03:00:00Z"), ..approval(1001, "bob") }],
        "0 of 1 approvals by other people; not counted: bob (given in the future)",
    );
    refuses(
        "approvals: 1",
        |facts| facts.approvals = vec![Approval { differs: vec!["run.sh was another".into()], ..approval(1001, "bob") }],
        "0 of 1 approvals by other people; not counted: bob (approved something else: run.sh was another)",
    );
}

#[test]
fn actions_are_allowed_and_not_denied() {
    allows("actions: { deny: [exec] }", |_| {}, "all 2 actions may be used");
    refuses("actions: { allow: [aws.*] }", |_| {}, "aliyun.region-outage (fault) is not allowed");
    refuses(
        "actions: { allow: ['*'], deny: ['*.start-*', aliyun.*] }",
        |_| {},
        "aliyun.region-outage (fault) is denied by aliyun.*, aws.ec2.start-instances (failover/start) is denied by *.start-*",
    );
    refuses("actions: { allow: [] }", |facts| facts.actions.truncate(1), "aliyun.region-outage (fault) is not allowed");
}

#[test]
fn regions_are_those_of_their_cloud() {
    allows("regions: { aliyun: [cn-hangzhou] }", |_| {}, "cn-hangzhou");
    allows("regions: { aws: [us-east-1], aliyun: [cn-hangzhou] }", |_| {}, "cn-hangzhou, us-east-1");
    refuses("regions: { aliyun: [cn-shanghai] }", |_| {}, "fault is in cn-hangzhou");
    refuses("regions: { aws: [eu-west-1] }", |_| {}, "the environment is in us-east-1");
    refuses("regions: { aliyun: [cn-hangzhou] }", |facts| facts.regions[1].region = None, "fault names its region only during the run");
}

#[test]
fn everything_acted_on_carries_the_tags() {
    let tags = "tags: { drill: allowed, tier: web }";
    allows(tags, |_| {}, "drill=allowed tier=web on 2 things");
    refuses(tags, |facts| facts.targets[1].carries = Carries::NotAll, "instance i-2 (failover/start) does not carry drill=allowed tier=web");
    refuses(tags, |facts| facts.targets[0].carries = Carries::Unread("denied".into()), "the tags of instance i-1 cannot be read: denied");
    refuses(tags, |facts| facts.untold = vec!["failover/x".into()], "failover/x cannot tell yet what it acts on");
    let record = |facts: &mut Facts| {
        let target = Target::at(&location(), TargetKind::Record, "shop.example.com.");
        facts.targets[1] = TargetFact { step: "failover/shift".into(), target, carries: Carries::NoTags };
    };
    allows(tags, record, "drill=allowed tier=web on 1 thing; of what cannot carry any: record");
    let command = |facts: &mut Facts| {
        let target = Target::outside(TargetKind::Command, "move.sh");
        facts.targets[1] = TargetFact { step: "failover/move".into(), target, carries: Carries::Untold };
    };
    refuses(tags, command, "nothing tells what command move.sh (failover/move) acts on, nor whether that carries drill=allowed tier=web");
}

#[test]
fn targets_are_counted_with_those_that_are_not_known_yet() {
    allows("max_targets: 2", |_| {}, "2 things may be acted on; the most is 2");
    refuses("max_targets: 1", |_| {}, "2 things may be acted on; the most is 1");
    refuses(
        "max_targets: 2",
        |facts| facts.untold = vec!["failover/x".into()],
        "2 things may be acted on at least, and failover/x cannot be counted before the run; the most is 2",
    );
}

#[test]
fn faults_stand_no_longer_and_no_more_than_allowed() {
    allows("max_fault: 30m", |_| {}, "the fault stands 30m at most");
    refuses("max_fault: 10m", |_| {}, "the fault's limit is 30m; the longest is 10m");
    refuses("max_fault: 1m", |_| {}, "the fault's limit is 30m, the fault's lease is 2m; the longest is 1m");
    allows("max_fault: 1m", |facts| facts.fault = None, "no fault is injected");
    allows("max_faults: 1", |_| {}, "no other fault stands");
    refuses("max_faults: 0", |_| {}, "no other fault stands; the most at once is 0");
    refuses("max_faults: 1", |facts| facts.open_faults = vec!["run-1".into()], "the fault of run run-1 may still stand; the most at once is 1");
    allows("max_faults: 2", |facts| facts.open_faults = vec!["run-1".into()], "the fault of run run-1 may still stand");
    allows("max_faults: 0", |facts| facts.fault = None, "no fault is injected");
    refuses("max_faults: 2", |facts| facts.unseen_faults = vec!["aws: denied".into()], "no other fault is known, but not all can be: aws: denied");
}

#[test]
fn the_name_is_given_and_right() {
    let confirm = "confirm: type-the-name";
    refuses(confirm, |_| {}, "the name staging was not given");
    refuses(confirm, |facts| facts.confirmed = Confirmed::Given("production".into()), "`production` was given as the name of staging");
    allows(confirm, |facts| facts.confirmed = Confirmed::Given("staging".into()), "the name was given");
    allows(confirm, |facts| facts.confirmed = Confirmed::Later, "asks for the name staging");
}

/// What the cloud said, what is meant, whether the cloud is needed; what a drill and an emergency get.
type Row = (Answer, Option<&'static str>, bool, [Option<Outcome>; 2]);

#[test]
fn a_drill_wants_both_accounts_and_an_emergency_only_no_wrong_one() {
    use Outcome::{Allows, Refuses, Warns};
    let silent = || Answer::Silent("aws sts:GetCallerIdentity: no answer".into());
    let bare = || Answer::NoCredentials("no credentials: looked everywhere".into());
    let rows: [Row; 8] = [
        (Answer::Is("1".into()), Some("1"), true, [Some(Allows), Some(Allows)]),
        (Answer::Is("2".into()), Some("1"), true, [Some(Refuses), Some(Refuses)]),
        (silent(), Some("1"), true, [Some(Refuses), Some(Warns)]),
        (bare(), Some("1"), true, [Some(Refuses), Some(Refuses)]),
        (bare(), Some("1"), false, [Some(Refuses), Some(Warns)]),
        (bare(), None, true, [Some(Refuses), Some(Refuses)]),
        (Answer::NotAsked, None, false, [Some(Refuses), None]),
        (silent(), None, true, [Some(Refuses), None]),
    ];
    for (answer, meant, is_needed, wanted) in rows {
        for (mode, wanted) in [Mode::Drill, Mode::Emergency].into_iter().zip(wanted) {
            let account = AccountFact { cloud: Cloud::Aws, meant: meant.map(str::to_owned), answer: answer.clone(), is_needed };
            let facts = Facts { mode, accounts: vec![account], ..facts() };
            let decisions = evaluate(&Guards::default(), &facts);
            assert_eq!(decisions.first().map(|decision| decision.outcome), wanted, "{answer:?} {meant:?} {mode:?}");
            assert!(decisions.iter().all(|decision| !decision.asks()), "silence is recorded, not asked about: {decisions:?}");
        }
    }
    // Where the other cloud can act, an emergency goes on there; nobody knows how a chain of credentials ends whose last place is gone.
    let account = |cloud, answer: Answer, is_needed| AccountFact { cloud, meant: Some("1".to_owned()), answer, is_needed };
    for (other, needed, wanted) in
        [(Answer::Is("1".into()), true, Warns), (silent(), true, Warns), (bare(), true, Refuses), (Answer::Is("1".into()), false, Refuses)]
    {
        let accounts = vec![account(Cloud::Aws, bare(), true), account(Cloud::Aliyun, other, needed)];
        let decisions = evaluate(&Guards::default(), &Facts { mode: Mode::Emergency, accounts, ..facts() });
        assert_eq!(decisions.first().map(|decision| decision.outcome), Some(wanted), "{decisions:?}");
    }
    // Custom endpoints need no account.
    let facts =
        Facts { is_real: false, accounts: vec![AccountFact { cloud: Cloud::Aws, meant: None, answer: silent(), is_needed: true }], ..facts() };
    assert_eq!(evaluate(&Guards::default(), &facts), []);
}

#[test]
fn only_the_calendar_and_other_runs_give_way_in_a_drill_and_everything_but_the_account_in_an_emergency() {
    let guards = guards(
        "{ approvals: 1, windows: [Mon 00:00-01:00 UTC], freeze: [{ name: f, from: 2026-11-20, to: 2026-11-30 }], actions: { allow: [] }, \
         regions: { aws: [x-1] }, tags: { a: b }, max_targets: 1, max_fault: 1m, max_faults: 0, confirm: type-the-name }",
    );
    let why = |guards: &[Guard]| Overrides { of: guards.iter().map(|guard| (*guard, "because".to_owned())).collect(), all: None };
    let mut wrong = facts();
    wrong.accounts[0].answer = Answer::Is("2".into());
    wrong.targets[0].carries = Carries::NotAll;
    wrong.neighbours = vec![NeighbourFact { run: "r1".into(), running: true, shared: vec!["instance i-1".into()] }];
    wrong.overrides = why(&Guard::ALL);
    let decisions = evaluate(&guards, &wrong);
    assert_eq!(decisions.iter().map(|decision| decision.of().unwrap()).collect::<Vec<_>>(), Guard::ALL, "one each, in order");
    for decision in &decisions {
        assert_eq!(decision.outcome, Outcome::Refuses, "{decision:?}");
        let gives_way = matches!(decision.of(), Some(Guard::Windows | Guard::Freeze | Guard::Overlap));
        assert_eq!(decision.overridden.is_some(), gives_way, "{decision:?}");
        assert_eq!(decision.stands_in_the_way(), !gives_way);
    }
    // In an emergency the same facts warn, and one reason answers all of them.
    wrong.mode = Mode::Emergency;
    wrong.overrides = Overrides { all: Some("the region is gone".into()), ..Overrides::default() };
    for decision in evaluate(&guards, &wrong) {
        if decision.of() == Some(Guard::Account) {
            assert!(decision.stands_in_the_way(), "{decision:?}");
        } else {
            assert_eq!(decision.outcome, Outcome::Warns, "{decision:?}");
            assert_eq!(decision.overridden, Some(Override { by: "ann".into(), why: "the region is gone".into() }));
        }
    }
    wrong.overrides = why(&[Guard::Tags]);
    let asking: Vec<Guard> = evaluate(&guards, &wrong).iter().filter(|decision| decision.asks()).filter_map(Decision::of).collect();
    assert!(!asking.contains(&Guard::Tags) && asking.contains(&Guard::Windows), "{asking:?}");
}

#[test]
fn guards_that_are_not_written_say_nothing() {
    let facts = Facts { accounts: Vec::new(), ..facts() };
    assert_eq!(evaluate(&Guards::default(), &facts), []);
}
