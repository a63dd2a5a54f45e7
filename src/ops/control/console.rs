//! Whoever sits in front of a run, or nobody.

use tokio::sync::mpsc::UnboundedReceiver;

use crate::model::order::Order;
use crate::model::state::RunState;

/// What Ctrl-C means now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The person is asked what to do; the run goes on.
    Ask,
    /// The run is to end, as by any other signal.
    End,
    /// This process is to end at once, whatever is left.
    Leave,
}

/// A person in front of the run: keys come in, one line at the foot of the display goes out.
pub trait Console: Send {
    /// The run begins. Gives what is typed, as it is typed, where somebody can type.
    fn begin(&mut self, _emergency: bool) -> Option<UnboundedReceiver<Vec<u8>>> {
        None
    }

    /// Keys were pressed. May give an order, with its reason.
    fn typed(&mut self, _keys: &[u8], _state: &RunState) -> Option<(Order, String)> {
        None
    }

    /// Ctrl-C was pressed, or SIGINT came from elsewhere.
    fn interrupted(&mut self, state: &RunState) -> Interrupt;

    /// What became of the last order.
    fn answered(&mut self, _answer: Result<(), String>) {}

    /// What the line at the foot says now.
    fn foot(&mut self, _state: &RunState) -> String {
        String::new()
    }

    /// The run has ended: the terminal is as it was before.
    fn end(&mut self) {}

    /// Ends the process at once. `command` is what takes the run back.
    fn leave(&mut self, command: &str) -> !;
}

/// Nobody: every interrupt ends the run, however many there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unattended;

impl Console for Unattended {
    fn interrupted(&mut self, _state: &RunState) -> Interrupt {
        Interrupt::End
    }

    fn leave(&mut self, _command: &str) -> ! {
        std::process::exit(LEFT)
    }
}

/// Exit code of a process that was told to leave its run: that of SIGINT in a shell.
pub(super) const LEFT: i32 = 130;
