//! Who is who on this machine: which user ids are people's, and under which of them somebody works.
//!
//! What a process says about itself in its environment is nobody's word. What the system vouches for is the owner of a file and the peer of a socket,
//! and even that only for ids that belong to a person: the subordinate ids of a user (`/etc/subuid`) own files for whoever has that range, and in a user
//! namespace every id is what its maker made it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::model::guard::{Person, Starter};

/// Whoever runs this process.
#[must_use]
pub fn me() -> Person {
    let uid = rustix::process::getuid().as_raw();
    Person { uid, name: name(uid) }
}

/// The login name of a user id, for readers: what the system's files say, else what the system's directories do, else the id.
#[must_use]
pub fn name(uid: u32) -> String {
    System::here().login(uid).unwrap_or_else(|| format!("uid {uid}"))
}

/// The home of a user id, as the system's files say it and not as a variable does; only where they do not know the user, `HOME`.
#[must_use]
pub fn home(uid: u32) -> Option<PathBuf> {
    let home = System::here().home(uid).or_else(|| std::env::var_os("HOME").map(PathBuf::from));
    home.filter(|home| home.is_absolute() && *home != Path::new("/"))
}

/// Whoever runs this process, with every id that is theirs.
#[must_use]
pub fn starter() -> Starter {
    let me = me();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default().split_whitespace();
    let mut ids: BTreeSet<u32> = own.filter_map(|id| id.parse().ok()).collect();
    ids.insert(me.uid);
    ids.extend(logged_in("self"));
    // Whoever takes these away has still logged in as somebody, where the system keeps that; they only ever add to whom nothing is believed of.
    ids.extend(["SUDO_UID", "PKEXEC_UID"].into_iter().filter_map(|variable| std::env::var(variable).ok()?.parse::<u32>().ok()));
    let system = System::here();
    let names = ids.iter().filter_map(|uid| system.login(*uid)).chain([me.name.clone()]).collect();
    Starter { me, ids, names }
}

/// The id as which somebody logged in before they became who a process runs as; `process`: its number, or `self`.
#[must_use]
pub fn logged_in(process: &str) -> Option<u32> {
    let id = fs::read_to_string(format!("/proc/{process}/loginuid")).ok()?.trim().parse().ok()?;
    // Nobody has logged in.
    (id != u32::MAX).then_some(id)
}

/// What the system's files say of its users.
#[derive(Debug)]
pub struct System {
    passwd: String,
    subuid: String,
    /// The id that stands for every id that is not known here.
    overflow: u32,
    /// Whether ids are the machine's own, not those of a user namespace.
    is_whole: bool,
    /// Whether the system's directories may be asked for what the files do not say.
    asks: bool,
}

impl System {
    /// As they are here and now.
    #[must_use]
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        Self {
            passwd: read("/etc/passwd").unwrap_or_default(),
            subuid: read("/etc/subuid").unwrap_or_default(),
            overflow: read("/proc/sys/kernel/overflowuid").and_then(|id| id.trim().parse().ok()).unwrap_or(65534),
            is_whole: read("/proc/self/uid_map").is_none_or(|map| map.split_whitespace().eq(["0", "0", "4294967295"])),
            asks: true,
        }
    }

    /// The login name of the person to whom a user id belongs.
    ///
    /// # Errors
    /// Why it is nobody's.
    pub fn person(&self, uid: u32) -> Result<String, String> {
        if !self.is_whole {
            return Err("in a user namespace the owner of a file proves nothing".into());
        }
        if uid == self.overflow {
            return Err(format!("uid {uid} stands for every user that is not known here"));
        }
        if let Some(owner) = self.subordinate_to(uid) {
            return Err(format!("uid {uid} is one of the subordinate ids of {owner}"));
        }
        self.login(uid).ok_or_else(|| format!("uid {uid} is no user of this system"))
    }

    /// Whose subordinate id it is.
    fn subordinate_to(&self, uid: u32) -> Option<&str> {
        self.subuid.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (owner, first, count) = (fields.next()?, fields.next()?.trim().parse::<u64>().ok()?, fields.next()?.trim().parse::<u64>().ok()?);
            (first..first.saturating_add(count)).contains(&u64::from(uid)).then_some(owner)
        })
    }

    fn login(&self, uid: u32) -> Option<String> {
        let name_of = |line: &str| {
            let mut fields = line.split(':');
            let (name, id) = (fields.next()?, fields.nth(1)?);
            (id.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
        };
        self.passwd.lines().find_map(name_of).or_else(|| if self.asks { asked(uid) } else { None })
    }

    fn home(&self, uid: u32) -> Option<PathBuf> {
        let home_of = |line: &str| {
            let fields: Vec<&str> = line.split(':').collect();
            (fields.get(2)?.parse() == Ok(uid)).then(|| fields.get(5).map(PathBuf::from))?
        };
        self.passwd.lines().find_map(home_of)
    }
}

fn asked(uid: u32) -> Option<String> {
    let output = Command::new("/usr/bin/id").args(["-un", &uid.to_string()]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system() -> System {
        System {
            passwd: "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nnobody:x:65534:65534::/:/sbin/nologin\nodd:x:100007:1::/:\n"
                .into(),
            subuid: "ann:100000:65536\n1001:200000:65536\n".into(),
            overflow: 65534,
            is_whole: true,
            asks: false,
        }
    }

    #[test]
    fn a_person_has_an_entry_and_no_borrowed_id() {
        let system = system();
        assert_eq!((system.person(1000), system.person(0)), (Ok("ann".into()), Ok("root".into())));
        assert_eq!((system.home(1000), system.home(1002)), (Some("/home/ann".into()), None));
        for (uid, why) in [
            (100_000, "one of the subordinate ids of ann"),
            (165_535, "one of the subordinate ids of ann"),
            (100_007, "one of the subordinate ids of ann"),
            (200_001, "one of the subordinate ids of 1001"),
            (165_536, "no user of this system"),
            (1002, "no user of this system"),
            (65534, "every user that is not known here"),
        ] {
            assert!(system.person(uid).unwrap_err().contains(why), "{uid}");
        }
        let inside = System { is_whole: false, ..system };
        assert!(inside.person(1000).unwrap_err().contains("user namespace"));
    }

    #[test]
    fn whoever_starts_a_run_is_known_under_all_their_ids() {
        let starter = starter();
        assert!(starter.ids.contains(&starter.me.uid) && starter.names.contains(&starter.me.name));
        let effective = rustix::process::geteuid().as_raw();
        assert!(starter.ids.contains(&effective), "{starter:?}");
    }
}
