//! The display on a terminal: it is drawn again soon after every event and a few times a second. Lines that must not be missed are printed above it and stay.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Observer;
use super::frame::{Frame, Size};
use super::words::{Weight, one_line, said};
use crate::model::event::{Body, Event, RunEvent};
use crate::model::phrases::phrase;
use crate::model::plain;
use crate::model::state::RunState;
use crate::model::text::Lang;
use crate::model::time::Timestamp;

/// Between two drawings for events.
const PACE: Duration = Duration::from_millis(40);

/// The display that a terminal shows now.
static SHOWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Lets `write` write to the terminal above the display, which is taken away meanwhile and drawn again below.
pub fn above_the_display(write: impl FnOnce()) {
    // Not held while writing: a terminal that takes nothing must not keep the display from ending.
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match shown {
        Some(screen) => screen.suspend(write),
        None => write(),
    }
}

/// The display of a run.
pub struct Bars {
    screen: MultiProgress,
    /// All of the display: a message of many lines.
    lines: ProgressBar,
    size: fn() -> Option<(usize, usize)>,
    foot: String,
    color: bool,
    lang: Lang,
    /// The last event's time, and when it came in: what elapsed since is added.
    last: Option<(Timestamp, Instant)>,
    /// How long an event waits at least, after what was drawn last, until it is seen: whoever draws a thousand steps for each event of theirs comes to nothing else.
    pace: Duration,
    drawn: Option<Instant>,
}

impl Bars {
    /// The terminal to draw on: standard error when standard output carries JSON.
    #[must_use]
    pub fn terminal(json: bool) -> ProgressDrawTarget {
        if json { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::stdout() }
    }

    /// A display on `target`, whose columns and rows `size` tells whenever it is drawn.
    #[must_use]
    pub fn new(target: ProgressDrawTarget, size: fn() -> Option<(usize, usize)>, color: bool, lang: Lang) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{msg}").expect("a template of one known key");
        let lines = screen.add(ProgressBar::no_length().with_style(style));
        Self { screen, lines, size, foot: String::new(), color, lang, last: None, pace: Duration::ZERO, drawn: None }
    }

    /// The same, which draws no more often for events than people see.
    #[must_use]
    pub(super) fn paced(mut self) -> Self {
        self.pace = PACE;
        self
    }

    /// The same, known to whoever else writes to the terminal, until it is finished.
    #[must_use]
    pub(super) fn known(self) -> Self {
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.screen.clone());
        self
    }

    fn draw(&mut self, state: &RunState) {
        self.drawn = Some(Instant::now());
        let now = self.last.map(|(at, came)| at.plus(came.elapsed())).or(state.at);
        let (Some(plan), Some(now)) = (state.plan(), now) else { return };
        let size = (self.size)().map_or_else(Size::default, |(columns, rows)| Size { columns, rows });
        let frame = Frame { state, plan, now, lang: self.lang, size, foot: &self.foot, color: self.color };
        self.lines.set_message(plain::coloured(&frame.lines().join("\n")).into_owned());
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        nothing_is_shown();
    }
}

fn nothing_is_shown() {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Columns and rows of the terminal that standard output, or else standard error, goes to.
pub(super) fn size() -> Option<(usize, usize)> {
    use rustix::termios::tcgetwinsize;
    let size = tcgetwinsize(std::io::stdout()).or_else(|_| tcgetwinsize(std::io::stderr())).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

impl Observer for Bars {
    fn event(&mut self, event: &Event, state: &RunState) {
        self.last = Some((event.at, Instant::now()));
        let decided = matches!(event.body, Body::Run(RunEvent::Decided { .. }));
        if let Some(said) = said(event, state, self.lang)
            .filter(|said| (said.weight == Weight::Trouble || decided) && !matches!(event.body, Body::Run(RunEvent::Ended { .. })))
        {
            for line in said.lines {
                let line = format!("{}  {}  {line}", event.at.to_utc().format("%H:%M:%SZ"), said.subject);
                // A terminal that is gone must not stop a failover.
                let _ = self.screen.println(plain::shown(&line));
            }
        }
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= self.pace) {
            self.draw(state);
        }
    }

    fn tick(&mut self, state: &RunState) {
        self.draw(state);
    }

    fn said(&mut self, line: &str) {
        let _ = self.screen.println(one_line(line));
    }

    fn foot(&mut self, text: &str) {
        text.clone_into(&mut self.foot);
    }

    fn finish(&mut self, state: &RunState) {
        self.foot.clear();
        self.draw(state);
        self.lines.abandon();
        nothing_is_shown();
        // The verdict itself is the command's last word.
        if let Some(end) = &state.ended {
            for reason in &end.reasons {
                let _ = self.screen.println(format!("  {}", one_line(&phrase(reason, self.lang))));
            }
        }
    }
}
