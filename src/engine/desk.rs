//! Where steps ask people and people answer: approvals and manual steps.
//!
//! A question is journalled before anybody sees it, an answer before it has an effect. A rehearsal answers by itself and says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::action::ActionError;
use crate::model::event::step::StepKind;
use crate::model::ids;
use crate::model::order::{Question, Witness};
use crate::model::plan::Plan;

/// Who answers in a rehearsal.
const REHEARSAL: &str = "rehearsal";

/// What somebody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Yes or done.
    pub yes: bool,
    /// Who.
    pub by: String,
    /// What they said about it.
    pub note: String,
    /// What is known of them.
    pub witness: Witness,
}

/// Whose word an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Whoever it says: in the lab one person may play all.
    Said,
    /// The user's from whom it came, unless a key has signed it.
    Users,
    /// An approver's who has signed it; what needs nobody else's word is the user's.
    Keys,
}

impl Trust {
    /// What is believed where this plan runs.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        match plan.approvers.is_empty() {
            false => Self::Keys,
            true if plan.is_in_lab() => Self::Said,
            true => Self::Users,
        }
    }

    /// For whom an answer counts; `own`: whether the word of the one who started the run is enough.
    ///
    /// # Errors
    /// When it counts for nobody.
    pub fn author(self, reply: &Reply, own: bool) -> Result<String, String> {
        match (self, &reply.witness) {
            (Self::Said, _) | (_, Witness { key: Some(_), .. }) => Ok(reply.by.clone()),
            (Self::Keys, _) if reply.yes && !own => {
                Err("only a signed answer counts here: --as NAME --key FILE, with a key of the environment's `approvers`".into())
            }
            (_, Witness { user, .. }) => Ok(user.clone().unwrap_or_else(|| reply.by.clone())),
        }
    }
}

/// Journals an event of a step.
pub type Tell = Box<dyn Fn(&str, StepKind) + Send + Sync>;

/// How a run gets its answers.
pub struct DeskSetup {
    /// Whoever started the run.
    pub starter: String,
    /// Answers that were given beforehand: step ids or keys, with who gave them.
    pub approved: Vec<(String, Reply)>,
    /// Whose word an answer is.
    pub trust: Trust,
    /// Whether it answers by itself.
    pub simulated: bool,
    /// Journals.
    pub tell: Tell,
}

/// The desk of one run; clones are the same.
#[derive(Clone)]
pub struct Desk {
    setup: Arc<DeskSetup>,
    open: Arc<Mutex<BTreeMap<String, Open>>>,
}

struct Open {
    question: Question,
    replies: Vec<Reply>,
    done: Option<oneshot::Sender<Result<Vec<Reply>, Reply>>>,
}

impl Desk {
    /// A desk without open questions.
    #[must_use]
    pub fn new(setup: DeskSetup) -> Self {
        Self { setup: Arc::new(setup), open: Arc::default() }
    }

    /// A desk that answers everything by itself and tells nobody: for plans that are only looked at.
    #[must_use]
    pub fn simulated() -> Self {
        Self::new(DeskSetup { starter: String::new(), approved: Vec::new(), trust: Trust::Said, simulated: true, tell: Box::new(|_, _| {}) })
    }

    /// Asks, and waits until enough people have said yes. The step's timeout ends the wait.
    ///
    /// # Errors
    /// [`ActionError::Other`] when somebody said no.
    pub async fn ask(&self, step: &str, question: Question) -> Result<Vec<Reply>, ActionError> {
        (self.setup.tell)(step, StepKind::Asked { question: question.clone() });
        let needed = if question.manual { 1 } else { question.approvers.max(1) };
        if self.setup.simulated {
            let replies: Vec<Reply> =
                (0..needed).map(|_| Reply { yes: true, by: REHEARSAL.into(), note: String::new(), witness: Witness::default() }).collect();
            replies.iter().for_each(|reply| self.journal(step, reply, true));
            return Ok(replies);
        }
        let (done, answered) = oneshot::channel();
        self.lock().insert(step.to_owned(), Open { question, replies: Vec::new(), done: Some(done) });
        let _gone = Gone { desk: self, step };
        let id = ids::short(step);
        for (_, reply) in self.setup.approved.iter().filter(|(of, _)| of == step || of == id) {
            // Somebody who may not answer is passed over: others still may.
            let _ = self.answer(step, reply.clone());
        }
        match answered.await {
            Ok(Ok(replies)) => Ok(replies),
            Ok(Err(Reply { by, note, .. })) => {
                let note = if note.is_empty() { String::new() } else { format!(": {note}") };
                Err(ActionError::Other { message: format!("{by} said no{note}"), retry: false })
            }
            // The other end lives in the map until this future is gone.
            Err(_) => Err(ActionError::Other { message: "the question was withdrawn".into(), retry: false }),
        }
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn answer(&self, step: &str, mut reply: Reply) -> Result<(), String> {
        let mut open = self.lock();
        let key = ids::meant(step).into_iter().find(|key| open.contains_key(key));
        let Some((key, asked)) = key.and_then(|key| open.get_mut(&key).map(|asked| (key, asked))) else {
            let waiting: Vec<&str> = open.keys().map(String::as_str).collect();
            return Err(if waiting.is_empty() {
                "no step asks anything".into()
            } else {
                format!("{step} asks nothing; these do: {}", waiting.join(", "))
            });
        };
        let Question { of, starter, .. } = &asked.question;
        let author = self.setup.trust.author(&reply, *starter).map_err(|why| format!("{key}: {why}"))?;
        if author != reply.by {
            // Whom it names is a part of what was said, no more.
            reply.note = format!("as {}{}{}", reply.by, if reply.note.is_empty() { "" } else { ": " }, reply.note);
            reply.by = author;
        }
        if !of.is_empty() && !of.contains(&reply.by) {
            return Err(format!("only {} may answer {key}", of.join(", ")));
        }
        if reply.by == self.setup.starter && !starter {
            return Err(format!("{} started the run: {key} needs somebody else's word", reply.by));
        }
        if asked.replies.iter().any(|earlier| earlier.by == reply.by) {
            return Err(format!("{} has answered {key} already", reply.by));
        }
        self.journal(&key, &reply, false);
        if !reply.yes {
            if let Some(done) = asked.done.take() {
                // Whoever asked may be gone; the answer is on record.
                let _ = done.send(Err(reply));
            }
            return Ok(());
        }
        asked.replies.push(reply);
        let needed = if asked.question.manual { 1 } else { asked.question.approvers.max(1) as usize };
        if asked.replies.len() >= needed
            && let Some(done) = asked.done.take()
        {
            let _ = done.send(Ok(std::mem::take(&mut asked.replies)));
        }
        Ok(())
    }

    fn journal(&self, step: &str, reply: &Reply, simulated: bool) {
        let Reply { yes, by, note, witness } = reply.clone();
        (self.setup.tell)(step, StepKind::Answered { yes, by, note, simulated, witness });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        // Each question is one entry, put in and taken out whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question away when nobody waits for its answer any more.
struct Gone<'a> {
    desk: &'a Desk,
    step: &'a str,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.desk.lock().remove(self.step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk(approved: &[(&str, &str)]) -> (Desk, Arc<Mutex<Vec<String>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell: Tell = Box::new({
            let told = told.clone();
            move |step, kind| told.lock().unwrap().push(format!("{step} {}", serde_json::to_value(&kind).unwrap()["event"].as_str().unwrap()))
        });
        let approved = approved.iter().map(|(step, by)| ((*step).to_owned(), yes(by))).collect();
        (Desk::new(DeskSetup { starter: "ann".into(), approved, trust: Trust::Said, simulated: false, tell }), told)
    }

    fn yes(by: &str) -> Reply {
        Reply { yes: true, by: by.into(), note: String::new(), witness: Witness::default() }
    }

    #[tokio::test]
    async fn two_different_people_who_did_not_start_the_run_must_agree() {
        let (desk, told) = desk(&[("go", "bob"), ("go", "ann")]);
        let question = Question { text: "go?".into(), approvers: 2, ..Question::default() };
        let asking = tokio::spawn({
            let desk = desk.clone();
            async move { desk.ask("failover/go", question).await }
        });
        while told.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(desk.answer("go", yes("bob")).unwrap_err().contains("already"));
        assert!(desk.answer("go", yes("ann")).unwrap_err().contains("somebody else"));
        assert!(desk.answer("stay", yes("eve")).unwrap_err().contains("failover/go"));
        desk.answer("failover/go", yes("eve")).unwrap();
        let names: Vec<String> = asking.await.unwrap().unwrap().into_iter().map(|reply| reply.by).collect();
        assert_eq!(names, ["bob", "eve"]);
        assert_eq!(*told.lock().unwrap(), ["failover/go asked", "failover/go answered", "failover/go answered"]);
        assert!(desk.answer("go", yes("dan")).unwrap_err().contains("no step asks"));
    }

    #[test]
    fn outside_of_the_lab_an_answer_is_the_word_of_whoever_gave_it() {
        let said = |user: Option<&str>, key: Option<&str>| Reply {
            witness: Witness { user: user.map(str::to_owned), key: key.map(str::to_owned) },
            ..yes("eve")
        };
        let (claimed, signed) = (said(Some("ann"), None), said(Some("ann"), Some("SHA256:x")));
        let name = |trust: Trust, reply: &Reply, own| trust.author(reply, own).ok();
        let is = |name: &str| Some(name.to_owned());
        for own in [false, true] {
            assert_eq!((name(Trust::Said, &claimed, own), name(Trust::Users, &claimed, own)), (is("eve"), is("ann")));
            assert_eq!((name(Trust::Users, &signed, own), name(Trust::Keys, &signed, own)), (is("eve"), is("eve")));
        }
        assert_eq!((name(Trust::Keys, &claimed, true), name(Trust::Keys, &claimed, false)), (is("ann"), None));
        let no = Reply { yes: false, ..claimed };
        assert_eq!(name(Trust::Keys, &no, false), is("ann"), "a no needs no key");
    }

    #[tokio::test]
    async fn one_no_ends_it_and_a_rehearsal_answers_by_itself() {
        let (desk, told) = desk(&[]);
        let question = Question { text: "done?".into(), manual: true, approvers: 1, starter: true, ..Question::default() };
        let (asked, ()) = tokio::join!(desk.ask("failover/m", question.clone()), async {
            while told.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            desk.answer("m", Reply { yes: false, note: "the switch is locked".into(), ..yes("ann") }).unwrap();
        });
        assert_eq!(asked.unwrap_err().to_string(), "ann said no: the switch is locked");
        assert_eq!(Desk::simulated().ask("failover/m", question).await.unwrap()[0].by, REHEARSAL);
    }
}
