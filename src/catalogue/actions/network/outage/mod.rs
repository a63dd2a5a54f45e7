//! Cuts vSwitches of a VPC off with a network ACL of Lifeboat's own, and gives each vSwitch its former ACL back. The code works over a small trait of the calls that it needs, so
//! that their order and every way back are tested without a cloud.
//!
//! A vSwitch has one ACL or none. Changing the ACL takes two calls, and between them no ACL is in force. The vendor allows thirty calls about ACLs a minute, so one call takes all
//! vSwitches; waiting reads the attributes of a single ACL, a call with no such limit. Of other people's ACLs only the name and the state are read: whatever rules are in
//! them, they can be put back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalogue::until::until;
use crate::clouds::aliyun::{AclEntry, AclName, Aliyun, NetworkAcl, Policy, Protocol, VSwitch};
use crate::engine::action::{ActionError, Stands, Undone};
use crate::ports::{CloudError, Kind};

/// What of the cloud is needed.
pub(super) trait Network: Send + Sync {
    fn vswitches(&self, vpc: &str) -> impl Future<Output = Result<Vec<VSwitch>, CloudError>> + Send;
    fn acls(&self, vpc: &str) -> impl Future<Output = Result<Vec<AclName>, CloudError>> + Send;
    fn acl(&self, id: &str) -> impl Future<Output = Result<NetworkAcl, CloudError>> + Send;
    fn create(&self, vpc: &str, name: &str, token: &str) -> impl Future<Output = Result<String, CloudError>> + Send;
    fn set_entries(&self, acl: &str, entries: &[AclEntry], token: &str) -> impl Future<Output = Result<(), CloudError>> + Send;
    fn associate(&self, acl: &str, vswitches: &[String], token: &str) -> impl Future<Output = Result<(), CloudError>> + Send;
    fn unassociate(&self, acl: &str, vswitches: &[String], token: &str) -> impl Future<Output = Result<(), CloudError>> + Send;
    fn delete(&self, acl: &str) -> impl Future<Output = Result<(), CloudError>> + Send;
}

impl Network for Aliyun {
    async fn vswitches(&self, vpc: &str) -> Result<Vec<VSwitch>, CloudError> {
        self.vswitches(vpc).await
    }

    async fn acls(&self, vpc: &str) -> Result<Vec<AclName>, CloudError> {
        self.network_acls(vpc).await
    }

    async fn acl(&self, id: &str) -> Result<NetworkAcl, CloudError> {
        self.network_acl(id).await
    }

    async fn create(&self, vpc: &str, name: &str, token: &str) -> Result<String, CloudError> {
        self.create_network_acl(vpc, name, token).await
    }

    async fn set_entries(&self, acl: &str, entries: &[AclEntry], token: &str) -> Result<(), CloudError> {
        self.set_network_acl_entries(acl, entries, entries, token).await
    }

    async fn associate(&self, acl: &str, vswitches: &[String], token: &str) -> Result<(), CloudError> {
        self.associate_network_acl(acl, vswitches, token).await
    }

    async fn unassociate(&self, acl: &str, vswitches: &[String], token: &str) -> Result<(), CloudError> {
        self.unassociate_network_acl(acl, vswitches, token).await
    }

    async fn delete(&self, acl: &str) -> Result<(), CloudError> {
        self.delete_network_acl(acl).await
    }
}

/// Which ACL each vSwitch had. Intent, not the ids of associations: those change with every swap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    /// vSwitch to ACL; none = it had none and shall have none.
    pub(super) vswitches: BTreeMap<String, Option<String>>,
    /// The ACLs of the VPC, so that leftovers can be told from them.
    pub(super) acls: BTreeSet<String>,
}

/// The fault of one run in one VPC, and what it needs.
pub(super) struct Outage<'a, N> {
    pub(super) network: &'a N,
    pub(super) vpc: &'a str,
    pub(super) part: Part<'a>,
    pub(super) run: &'a str,
    pub(super) progress: &'a (dyn Fn(String) + Send + Sync),
}

/// Which vSwitches of the VPC are cut off.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    All,
    /// The vSwitches of one zone, such as `cn-hangzhou-h`.
    Zone(&'a str),
    /// The vSwitches with these ids.
    These(&'a [String]),
}

impl Part<'_> {
    /// # Errors
    /// [`ActionError::NoTargets`] when nothing is left, or one that is named is not there.
    fn of(self, vpc: &str, all: Vec<VSwitch>) -> Result<Vec<VSwitch>, ActionError> {
        let no_targets = |what: String| Err(ActionError::NoTargets(what));
        if all.is_empty() {
            return no_targets(format!("{vpc} has no vSwitches"));
        }
        match self {
            Self::All => Ok(all),
            Self::Zone(zone) => {
                let zones: BTreeSet<String> = all.iter().map(|vswitch| vswitch.zone.clone()).collect();
                if !zones.contains(zone) {
                    let zones = zones.into_iter().collect::<Vec<_>>().join(", ");
                    return no_targets(format!("{vpc} has no vSwitch in zone {zone}, only in {zones}"));
                }
                Ok(all.into_iter().filter(|vswitch| vswitch.zone == zone).collect())
            }
            Self::These(ids) => {
                let missing: Vec<&str> = ids.iter().filter(|id| all.iter().all(|vswitch| vswitch.id != **id)).map(String::as_str).collect();
                if !missing.is_empty() {
                    return no_targets(format!("{vpc} has no vSwitch {}", missing.join(", ")));
                }
                Ok(all.into_iter().filter(|vswitch| ids.contains(&vswitch.id)).collect())
            }
        }
    }
}

/// What was read before anything is changed.
pub(super) struct Survey {
    /// The vSwitches that are meant.
    pub(super) vswitches: Vec<VSwitch>,
    pub(super) before: Before,
    /// This run's ACL, when it is there already.
    pub(super) ours: Option<String>,
}

/// What an association reads as once it is in force.
const BOUND: &str = "BINDED";
const AVAILABLE: &str = "Available";
/// How often a run may make its ACL anew.
const MOST: u32 = 100;
/// Looks at a new ACL before it is taken for one that is gone again; some five seconds.
const PATIENCE: u32 = 8;

impl<N: Network> Outage<'_, N> {
    /// The name by which this run's ACL is found again, also by a person.
    fn name(&self) -> String {
        format!("lifeboat:{}", self.run)
    }

    /// The same in every attempt to make this run's ACL for the `number`th time, so that no lost answer leaves two.
    fn token(&self, number: u32) -> String {
        let digest = Sha256::digest(format!("{}\n{}\ncreate {number}", self.run, self.vpc));
        format!("lifeboat-{}", hex::encode(&digest[..16]))
    }

    pub(super) async fn read(&self) -> Result<Survey, ActionError> {
        let meant = self.part.of(self.vpc, self.network.vswitches(self.vpc).await?)?;
        let vswitches = meant.iter().map(|vswitch| (vswitch.id.clone(), vswitch.acl.clone())).collect();
        let acls = self.network.acls(self.vpc).await?;
        let ours = acls.iter().find(|acl| acl.name == self.name()).map(|acl| acl.id.clone());
        Ok(Survey { vswitches: meant, before: Before { vswitches, acls: acls.into_iter().map(|acl| acl.id).collect() }, ours })
    }

    /// The vSwitches of `before` as they are, to be compared with where this process runs.
    pub(super) async fn meant(&self, before: &Before) -> Result<Vec<VSwitch>, ActionError> {
        let vswitches = self.network.vswitches(self.vpc).await?;
        Ok(vswitches.into_iter().filter(|vswitch| before.vswitches.contains_key(&vswitch.id)).collect())
    }

    /// Cuts off every vSwitch of `before`. Gives back our ACL's id, and whether anything had to be done.
    pub(super) async fn cut(&self, before: &Before) -> Result<(String, bool), ActionError> {
        let network = self.network;
        let mut changed = false;
        let ours = match self.ours().await? {
            Some(acl) => acl.id,
            None => {
                changed = true;
                self.create().await?
            }
        };
        let vswitches = network.vswitches(self.vpc).await?;
        let mut all = vec![AclEntry::everything(Policy::Drop, "lifeboat")];
        if vswitches.iter().any(|vswitch| vswitch.ipv6 && before.vswitches.contains_key(&vswitch.id)) {
            all.push(AclEntry::everything6(Policy::Drop, "lifeboat"));
        }
        if !drops(&self.settled(&ours).await?, &all) {
            // A new ACL lets everything through.
            network.set_entries(&ours, &all, &fresh_token()).await?;
            self.settled(&ours).await?;
            changed = true;
        }
        self.settle(before).await?;
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut free = Vec::new();
        for (id, acl) in self.current(before).await? {
            match acl {
                Some(acl) if acl == ours => continue,
                Some(acl) if before.vswitches.get(&id) != Some(&Some(acl.clone())) => {
                    return Err(conflict(&id, before.vswitches.get(&id).cloned().flatten(), &ours, &acl));
                }
                Some(acl) => others.entry(acl).or_default().push(id.clone()),
                None => {}
            }
            free.push(id);
        }
        for (acl, ids) in &others {
            self.release(acl, ids).await?;
        }
        if !free.is_empty() {
            network.associate(&ours, &free, &fresh_token()).await?;
            changed = true;
        }
        self.bound(&ours, &before.vswitches.keys().cloned().collect::<Vec<_>>()).await?;
        Ok((ours, changed))
    }

    /// Makes this run's ACL. A token that was spent on one which this run has removed since is answered with the id of that one.
    async fn create(&self) -> Result<String, ActionError> {
        for number in 1..=MOST {
            let id = self.network.create(self.vpc, &self.name(), &self.token(number)).await?;
            let looks = &AtomicU32::new(0);
            let is_there = until(|| {
                let look = self.network.acl(&id);
                async move {
                    match look.await {
                        Ok(_) => Ok(Some(true)),
                        Err(error) if error.kind != Kind::NotFound => Err(error.into()),
                        // Just made, it may not be shown yet.
                        Err(_) => Ok((looks.fetch_add(1, Ordering::Relaxed) >= PATIENCE).then_some(false)),
                    }
                }
            });
            if is_there.await? {
                return Ok(id);
            }
        }
        Err(ActionError::NoEffect(format!("no ACL could be made in {}", self.vpc)))
    }

    /// Gives every vSwitch of `before` the ACL it had and removes ours. A vSwitch that somebody else has meanwhile given a third one is left as it
    /// is, and said once all others are back.
    pub(super) async fn heal(&self, before: &Before) -> Result<Undone, ActionError> {
        let ours = self.ours().await?;
        let mut changed = false;
        if let Some(ours) = &ours {
            let ours = self.settled(&ours.id).await?;
            let held: Vec<String> = ours.vswitches.into_iter().map(|(id, _)| id).collect();
            if !held.is_empty() {
                self.release(&ours.id, &held).await?;
                changed = true;
            }
        }
        self.settle(before).await?;
        let mut back: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut third = None;
        let our_name = || ours.as_ref().map_or_else(|| self.name(), |acl| acl.id.clone());
        let current = self.current(before).await?;
        for (id, had) in &before.vswitches {
            match (current.get(id), had) {
                (Some(now), had) if now == had => {}
                (Some(None), Some(had)) => back.entry(had.clone()).or_default().push(id.clone()),
                (Some(Some(now)), had) => third = Some(conflict(id, had.clone(), &our_name(), now)),
                (Some(None), None) => {}
                (None, had) => third = Some(conflict(id, had.clone(), &our_name(), "no such vSwitch")),
            }
        }
        for (acl, ids) in &back {
            match self.network.associate(acl, ids, &fresh_token()).await {
                Err(error) if error.kind == Kind::NotFound => {
                    third = Some(conflict(&ids.join(" "), Some(acl.clone()), &our_name(), "no ACL, and that one is gone"));
                    continue;
                }
                associated => associated?,
            }
            self.bound(acl, ids).await?;
            changed = true;
        }
        if let Some(ours) = &ours {
            self.remove(&ours.id).await?;
            changed = true;
        }
        match third {
            Some(conflict) => Err(conflict),
            None if self.current(before).await? != before.vswitches => {
                Err(ActionError::NoEffect(format!("the vSwitches of {} are not as before", self.vpc)))
            }
            None => Ok(if changed { Undone::Restored } else { Undone::Already }),
        }
    }

    /// Whether this run's ACL is there: it is made before anything is cut off, and removed after everything is back.
    pub(super) async fn stands(&self, before: &Before) -> Result<Stands, ActionError> {
        if self.ours().await?.is_some() {
            return Ok(Stands::Here);
        }
        let current = self.current(before).await?;
        let other = before.vswitches.iter().find(|(id, had)| current.get(*id) != Some(*had));
        Ok(other.map_or(Stands::Gone, |(id, _)| {
            let now = match current.get(id) {
                Some(Some(acl)) => format!("under {acl}"),
                Some(None) => "under no ACL".to_owned(),
                None => "not there".to_owned(),
            };
            Stands::Otherwise(format!("there is no ACL {} in {}, and vSwitch {id} is {now}", self.name(), self.vpc))
        }))
    }

    async fn ours(&self) -> Result<Option<AclName>, ActionError> {
        let name = self.name();
        Ok(self.network.acls(self.vpc).await?.into_iter().find(|acl| acl.name == name))
    }

    /// The vSwitches of `before` that there still are.
    async fn current(&self, before: &Before) -> Result<BTreeMap<String, Option<String>>, ActionError> {
        let vswitches = self.network.vswitches(self.vpc).await?.into_iter();
        Ok(vswitches.filter(|vswitch| before.vswitches.contains_key(&vswitch.id)).map(|vswitch| (vswitch.id, vswitch.acl)).collect())
    }

    /// The ACL once no change of it is under way.
    async fn settled(&self, acl: &str) -> Result<NetworkAcl, ActionError> {
        until(|| async move {
            let acl = self.network.acl(acl).await?;
            Ok((acl.status == AVAILABLE).then_some(acl))
        })
        .await
    }

    /// Waits until no swap that was cut off is still under way: until then a vSwitch may show an ACL that is about to leave it.
    async fn settle(&self, before: &Before) -> Result<(), ActionError> {
        for acl in before.vswitches.values().flatten().collect::<BTreeSet<_>>() {
            match self.settled(acl).await {
                // Somebody has removed it; what that means is said where it is missed.
                Err(ActionError::Cloud(error)) if error.kind == Kind::NotFound => {}
                settled => _ = settled?,
            }
        }
        Ok(())
    }

    async fn release(&self, acl: &str, ids: &[String]) -> Result<(), ActionError> {
        self.settled(acl).await?;
        self.network.unassociate(acl, ids, &fresh_token()).await?;
        until(|| async move {
            let acl = self.network.acl(acl).await?;
            let is_free = acl.vswitches.iter().all(|(id, _)| !ids.contains(id));
            Ok((is_free && acl.status == AVAILABLE).then_some(()))
        })
        .await
    }

    async fn bound(&self, acl: &str, ids: &[String]) -> Result<(), ActionError> {
        until(|| async move {
            let acl = self.network.acl(acl).await?;
            let bound = |id: &String| acl.vswitches.iter().any(|(found, status)| found == id && status == BOUND);
            let count = ids.iter().filter(|id| bound(id)).count();
            (self.progress)(format!("{count} of {} vSwitches under {}", ids.len(), acl.id));
            Ok((count == ids.len() && acl.status == AVAILABLE).then_some(()))
        })
        .await
    }

    async fn remove(&self, acl: &str) -> Result<(), ActionError> {
        until(|| async move {
            match self.network.delete(acl).await {
                // Once accepted it is gone, or goes.
                Ok(()) => Ok(Some(())),
                Err(error) if error.kind == Kind::NotFound => Ok(Some(())),
                // The last association is still on its way out.
                Err(error) if error.kind == Kind::Conflict => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// A token for an act that looks first and is therefore safe to do again: the client's own retries of one call share it, a later act never does.
/// The cloud answers a token that it knows without doing anything.
fn fresh_token() -> String {
    format!("lifeboat-{:032x}", rand::random::<u128>())
}

/// Whether an ACL drops exactly what `all` names, both ways.
fn drops(acl: &NetworkAcl, all: &[AclEntry]) -> bool {
    let drops = |entries: &[AclEntry]| {
        let same = |(is, wanted): (&AclEntry, &AclEntry)| is.policy == Policy::Drop && is.protocol == Protocol::All && is.cidr == wanted.cidr;
        entries.len() == all.len() && entries.iter().zip(all).all(same)
    };
    drops(&acl.ingress) && drops(&acl.egress)
}

fn conflict(vswitch: &str, had: Option<String>, ours: &str, found: &str) -> ActionError {
    let had = had.unwrap_or_else(|| "no ACL".to_owned());
    ActionError::Conflict { what: format!("the ACL of vSwitch {vswitch}"), expected: format!("{ours} or {had}"), found: found.to_owned() }
}

#[cfg(test)]
mod tests;
