//! Where a step stands, in the words that people read: the same on the bars, in lines, from `ctl`, in refusals and in reports.

use super::step::{Status, StepState};
use crate::model::text::Lang;

/// Declares the words: a name, its English, its Chinese.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $en:literal, $zh:literal;)+) => {
        /// Where a step stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StepWord { $($(#[$doc])* $name),+ }

        impl StepWord {
            /// The word in `lang`.
            #[must_use]
            pub const fn text(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::En) => $en, (Self::$name, Lang::Zh) => $zh,)+
                }
            }
        }
    };
}

words! {
    /// Not begun.
    Waiting: "waiting", "等待中";
    /// An attempt runs.
    Running: "running", "进行中";
    /// An attempt failed; another follows.
    AgainSoon: "failed, again soon", "失败，即将重试";
    /// The fault, injected.
    InEffect: "in effect", "生效中";
    /// Nothing was to be changed.
    Already: "already as asked", "已是所需状态";
    /// Done.
    Done: "done", "完成";
    /// Failed for good.
    Failed: "failed", "失败";
    /// Not run, and it will not be.
    NotRun: "not run", "未执行";
    /// The run ended while it was at it.
    Unfinished: "unfinished", "未完成";
    /// A new owner reads what has become of it.
    LookedAt: "being looked at", "正在核查";
    /// The fault, on its way out.
    BeingTakenOut: "being taken out", "正在解除";
    /// Being put back.
    BeingPutBack: "being put back", "正在还原";
    /// The fault is gone.
    TakenOut: "taken out", "已解除";
    /// Put back.
    PutBack: "put back", "已还原";
    /// Could not be put back.
    LeftOver: "left over", "未能还原";
    /// A person took what is there as it is.
    Accepted: "accepted as it is", "已接受现状";
}

impl StepWord {
    /// The word where it has to be seen, also where nothing is coloured.
    #[must_use]
    pub fn loud(self, lang: Lang) -> String {
        self.text(lang).to_uppercase()
    }

    /// Of a step of this status; `is_fault`: of the fault.
    #[must_use]
    pub const fn of(status: Status, is_fault: bool) -> Self {
        match status {
            Status::Pending => Self::Waiting,
            Status::Running => Self::Running,
            Status::Retrying => Self::AgainSoon,
            Status::Applied if is_fault => Self::InEffect,
            Status::Applied => Self::Done,
            Status::Failed => Self::Failed,
            Status::Skipped => Self::NotRun,
            Status::Undoing if is_fault => Self::BeingTakenOut,
            Status::Undoing => Self::BeingPutBack,
            Status::Undone if is_fault => Self::TakenOut,
            Status::Undone => Self::PutBack,
            Status::UndoFailed => Self::LeftOver,
            Status::Accepted => Self::Accepted,
        }
    }
}

impl StepState {
    /// Where it stands; `is_fault`: whether it is the fault.
    #[must_use]
    pub fn word(&self, is_fault: bool) -> StepWord {
        // A step that changes nothing has nothing that could be as asked already: it waited or checked, and is done.
        match self.status {
            Status::Applied if !is_fault && self.already && self.intent.is_some() => StepWord::Already,
            status => StepWord::of(status, is_fault),
        }
    }
}
