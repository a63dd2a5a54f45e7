//! Against a VPC in memory that does everything at once and knows client tokens.

use std::sync::Mutex;

use super::*;
use crate::ports::Cloud;

#[derive(Default)]
struct State {
    vswitches: BTreeMap<String, Option<String>>,
    /// By id: the name, and the entries (of both ways) that drop.
    acls: BTreeMap<String, (String, Vec<AclEntry>)>,
    created: BTreeMap<String, String>,
    spent: BTreeSet<String>,
    calls: Vec<String>,
    /// The call that fails once, by its name.
    fails: Option<&'static str>,
}

/// Behaves as the VPC service, at once: an ACL cannot replace another one, nor go while it is in use.
struct Fake(Mutex<State>);

impl Fake {
    fn new(vswitches: &[(&str, Option<&str>)]) -> Self {
        let mut state = State::default();
        for (id, acl) in vswitches {
            state.vswitches.insert((*id).to_owned(), acl.map(str::to_owned));
            if let Some(acl) = acl {
                state.acls.insert((*acl).to_owned(), ((*acl).to_owned(), Vec::new()));
            }
        }
        Self(Mutex::new(state))
    }

    fn act<T>(&self, call: &'static str, act: impl FnOnce(&mut State) -> Result<T, Kind>) -> Result<T, CloudError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(call.to_owned());
        if state.fails == Some(call) {
            state.fails = None;
            return Err(CloudError::new(Cloud::Aliyun, call, Kind::Denied, "not now"));
        }
        act(&mut state).map_err(|kind| CloudError::new(Cloud::Aliyun, call, kind, "no"))
    }

    fn state(&self) -> BTreeMap<String, Option<String>> {
        self.0.lock().unwrap().vswitches.clone()
    }

    fn show(state: &State, id: &str) -> Option<NetworkAcl> {
        let (name, entries) = state.acls.get(id)?;
        let entries = if entries.is_empty() { vec![AclEntry::everything(Policy::Accept, "")] } else { entries.clone() };
        let bound = state.vswitches.iter().filter(|(_, acl)| acl.as_deref() == Some(id)).map(|(vswitch, _)| (vswitch.clone(), BOUND.to_owned()));
        Some(NetworkAcl {
            id: id.to_owned(),
            name: name.clone(),
            vpc: "vpc".to_owned(),
            status: AVAILABLE.to_owned(),
            vswitches: bound.collect(),
            ingress: entries.clone(),
            egress: entries,
        })
    }
}

impl Network for Fake {
    async fn vswitches(&self, vpc: &str) -> Result<Vec<VSwitch>, CloudError> {
        let state = self.0.lock().unwrap();
        let show = |(id, acl): (&String, &Option<String>)| VSwitch {
            id: id.clone(),
            name: String::new(),
            vpc: vpc.to_owned(),
            zone: if id.ends_with("-g") { "g" } else { "h" }.to_owned(),
            cidr: "172.16.1.0/24".to_owned(),
            acl: acl.clone(),
            ipv6: id == "vsw-six",
        };
        Ok(state.vswitches.iter().map(show).collect())
    }

    async fn acls(&self, _: &str) -> Result<Vec<AclName>, CloudError> {
        let state = self.0.lock().unwrap();
        Ok(state.acls.iter().map(|(id, (name, _))| AclName { id: id.clone(), name: name.clone() }).collect())
    }

    async fn acl(&self, id: &str) -> Result<NetworkAcl, CloudError> {
        Self::show(&self.0.lock().unwrap(), id).ok_or_else(|| CloudError::new(Cloud::Aliyun, "acl", Kind::NotFound, "no"))
    }

    async fn create(&self, _: &str, name: &str, token: &str) -> Result<String, CloudError> {
        assert!(token.len() <= 64);
        self.act("create", |state| {
            // A token that comes again is answered as before, and nothing is done.
            if let Some(id) = state.created.get(token) {
                return Ok(id.clone());
            }
            let id = format!("nacl-{}", state.created.len() + 1);
            state.created.insert(token.to_owned(), id.clone());
            state.acls.insert(id.clone(), (name.to_owned(), Vec::new()));
            Ok(id)
        })
    }

    async fn set_entries(&self, acl: &str, entries: &[AclEntry], token: &str) -> Result<(), CloudError> {
        self.act("entries", |state| {
            assert!(state.spent.insert(token.to_owned()));
            state.acls.get_mut(acl).ok_or(Kind::NotFound)?.1 = entries.to_vec();
            Ok(())
        })
    }

    async fn associate(&self, acl: &str, vswitches: &[String], token: &str) -> Result<(), CloudError> {
        self.act("associate", |state| {
            assert!(state.spent.insert(token.to_owned()), "a token for each act");
            if !state.acls.contains_key(acl) {
                return Err(Kind::NotFound);
            }
            for id in vswitches {
                if state.vswitches[id].is_some() {
                    return Err(Kind::Invalid);
                }
                state.vswitches.insert(id.clone(), Some(acl.to_owned()));
            }
            Ok(())
        })
    }

    async fn unassociate(&self, acl: &str, vswitches: &[String], token: &str) -> Result<(), CloudError> {
        self.act("unassociate", |state| {
            assert!(state.spent.insert(token.to_owned()), "a token for each act");
            for id in vswitches {
                if state.vswitches[id].as_deref() != Some(acl) {
                    return Err(Kind::Invalid);
                }
                state.vswitches.insert(id.clone(), None);
            }
            Ok(())
        })
    }

    async fn delete(&self, acl: &str) -> Result<(), CloudError> {
        self.act("delete", |state| {
            if state.vswitches.values().any(|found| found.as_deref() == Some(acl)) {
                return Err(Kind::Conflict);
            }
            state.acls.remove(acl).map(|_| ()).ok_or(Kind::NotFound)
        })
    }
}

fn outage(network: &Fake) -> Outage<'_, Fake> {
    Outage { network, vpc: "vpc", part: Part::All, run: "r1", progress: &|_| {} }
}

fn world() -> Fake {
    Fake::new(&[("vsw-app", None), ("vsw-data", Some("nacl-data")), ("vsw-more", None)])
}

#[tokio::test]
async fn every_vswitch_is_cut_off_in_few_calls_and_gets_back_what_it_had() {
    let fake = world();
    let before = outage(&fake).read().await.unwrap().before;
    assert_eq!(outage(&fake).cut(&before).await.unwrap(), ("nacl-1".to_owned(), true));
    assert!(fake.state().values().all(|acl| acl.as_deref() == Some("nacl-1")));
    assert_eq!(fake.0.lock().unwrap().calls, ["create", "entries", "unassociate", "associate"]);
    assert!(!outage(&fake).cut(&before).await.unwrap().1);
    assert_eq!(fake.0.lock().unwrap().calls.len(), 4, "a second attempt finds everything done");
    assert_eq!(outage(&fake).heal(&before).await.unwrap(), Undone::Restored);
    assert_eq!(outage(&fake).read().await.unwrap().before, before);
    assert_eq!(outage(&fake).heal(&before).await.unwrap(), Undone::Already);
}

#[tokio::test]
async fn whatever_call_fails_undo_restores_everything() {
    for call in ["create", "entries", "unassociate", "associate"] {
        let fake = world();
        let before = outage(&fake).read().await.unwrap().before;
        fake.0.lock().unwrap().fails = Some(call);
        outage(&fake).cut(&before).await.unwrap_err();
        outage(&fake).heal(&before).await.unwrap();
        assert_eq!(outage(&fake).read().await.unwrap().before, before, "{call}");
    }
    for call in ["unassociate", "associate", "delete"] {
        let fake = world();
        let before = outage(&fake).read().await.unwrap().before;
        outage(&fake).cut(&before).await.unwrap();
        fake.0.lock().unwrap().fails = Some(call);
        outage(&fake).heal(&before).await.unwrap_err();
        assert_eq!(outage(&fake).heal(&before).await.unwrap(), Undone::Restored, "{call}");
        assert_eq!(outage(&fake).read().await.unwrap().before, before, "{call}");
    }
}

#[tokio::test]
async fn a_third_acl_is_left_alone_and_the_others_are_healed() {
    let fake = world();
    let before = outage(&fake).read().await.unwrap().before;
    outage(&fake).cut(&before).await.unwrap();
    {
        let mut state = fake.0.lock().unwrap();
        state.acls.insert("nacl-third".to_owned(), ("x".to_owned(), Vec::new()));
        state.vswitches.insert("vsw-app".to_owned(), Some("nacl-third".to_owned()));
    }
    let error = outage(&fake).heal(&before).await.unwrap_err();
    assert!(matches!(&error, ActionError::Conflict { found, .. } if found == "nacl-third"), "{error}");
    let state = fake.state();
    assert_eq!(state["vsw-app"].as_deref(), Some("nacl-third"));
    assert_eq!((state["vsw-data"].as_deref(), state["vsw-more"].as_deref()), (Some("nacl-data"), None));
}

#[tokio::test]
async fn a_vpc_without_vswitches_is_no_target() {
    assert!(matches!(outage(&Fake::new(&[])).read().await.err().unwrap(), ActionError::NoTargets(_)));
}

#[tokio::test]
async fn a_run_that_cuts_off_again_after_healing_makes_an_acl_that_is_there() {
    let fake = world();
    let before = outage(&fake).read().await.unwrap().before;
    for number in 1..=3 {
        assert_eq!(outage(&fake).cut(&before).await.unwrap().0, format!("nacl-{number}"));
        assert_eq!(outage(&fake).heal(&before).await.unwrap(), Undone::Restored);
        assert_eq!(outage(&fake).read().await.unwrap().before, before);
    }
}

#[tokio::test]
async fn where_there_is_ipv6_it_is_dropped_too() {
    for (vswitches, expected) in
        [(vec![("vsw-app", None)], vec!["0.0.0.0/0"]), (vec![("vsw-app", None), ("vsw-six", None)], vec!["0.0.0.0/0", "::/0"])]
    {
        let fake = Fake::new(&vswitches);
        let before = outage(&fake).read().await.unwrap().before;
        let (ours, _) = outage(&fake).cut(&before).await.unwrap();
        let acl = fake.acl(&ours).await.unwrap();
        assert_eq!(acl.ingress.iter().map(|entry| entry.cidr.as_str()).collect::<Vec<_>>(), expected);
        assert!(acl.ingress.iter().chain(&acl.egress).all(|entry| entry.policy == Policy::Drop));
        assert!(!outage(&fake).cut(&before).await.unwrap().1);
    }
}

#[tokio::test]
async fn what_somebody_removed_is_said_once_everything_else_is_back() {
    let fake = world();
    let before = outage(&fake).read().await.unwrap().before;
    outage(&fake).cut(&before).await.unwrap();
    fake.0.lock().unwrap().acls.remove("nacl-data");
    let error = outage(&fake).heal(&before).await.unwrap_err();
    assert!(matches!(&error, ActionError::Conflict { what, found, .. } if what.ends_with("vsw-data") && found.contains("gone")), "{error}");
    assert!(fake.state().values().all(Option::is_none) && fake.0.lock().unwrap().acls.is_empty(), "ours is gone");

    let fake = world();
    outage(&fake).cut(&before).await.unwrap();
    fake.0.lock().unwrap().vswitches.remove("vsw-app");
    let error = outage(&fake).heal(&before).await.unwrap_err();
    assert!(matches!(&error, ActionError::Conflict { what, found, .. } if what.ends_with("vsw-app") && found == "no such vSwitch"), "{error}");
    assert_eq!(fake.state()["vsw-data"].as_deref(), Some("nacl-data"));
}

#[tokio::test]
async fn a_zone_or_some_vswitches_are_cut_off_alone() {
    let these = ["vsw-data".to_owned(), "vsw-g".to_owned()];
    for (part, expected) in
        [(Part::Zone("g"), vec!["vsw-g"]), (Part::Zone("h"), vec!["vsw-app", "vsw-data"]), (Part::These(&these), vec!["vsw-data", "vsw-g"])]
    {
        let fake = Fake::new(&[("vsw-app", None), ("vsw-data", Some("nacl-data")), ("vsw-g", None)]);
        let whole = fake.state();
        let outage = Outage { part, ..outage(&fake) };
        let before = outage.read().await.unwrap().before;
        let (ours, _) = outage.cut(&before).await.unwrap();
        let cut: Vec<String> = fake.state().into_iter().filter(|(_, acl)| acl.as_ref() == Some(&ours)).map(|(id, _)| id).collect();
        assert_eq!(cut, expected);
        assert_eq!(outage.heal(&before).await.unwrap(), Undone::Restored);
        assert_eq!(fake.state(), whole);
    }
    for (part, expected) in [
        (Part::Zone("x"), "vpc has no vSwitch in zone x, only in g, h"),
        (Part::These(&["vsw-app".to_owned(), "vsw-no".to_owned()]), "vpc has no vSwitch vsw-no"),
    ] {
        let fake = Fake::new(&[("vsw-app", None), ("vsw-g", None)]);
        let error = Outage { part, ..outage(&fake) }.read().await.err().unwrap();
        assert_eq!((error.to_string().as_str(), matches!(error, ActionError::NoTargets(_))), (expected, true));
    }
}
