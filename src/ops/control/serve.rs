//! The thread that hears signals, keys and the socket, and passes on what they ask.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc as channel, oneshot};
use tokio::task::JoinSet;
use tracing::{debug, info};

use super::console::{Console, Interrupt};
use super::socket::{self, Socket};
use super::status::Status;
use super::wire::{self, Answer, Request};
use super::{answer_text, operator};
use crate::engine::shell::Envelope;
use crate::model::event::Event;
use crate::model::order::{Asked, Order, Witness};
use crate::model::state::RunState;
use crate::ops::approvals;
use crate::ops::exit::{Exit, Kind};
use crate::ops::people;

/// How long somebody who connected may take to say something, and to hear the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the run may take to do what it was asked.
const ANSWER: Duration = Duration::from_secs(10);
/// How many may talk to a run at once; more wait.
const VISITORS: usize = 16;
/// How often the line at the foot is looked at again.
const LOOK: Duration = Duration::from_millis(200);

/// What ties control to a run.
pub struct Wiring {
    /// The run's folder.
    pub folder: PathBuf,
    /// The command that takes the run back.
    pub abort_command: String,
    /// The run's events so far, as they come.
    pub events: Arc<Mutex<Vec<Event>>>,
    /// Where orders go.
    pub ask: channel::UnboundedSender<Envelope>,
    /// What a signal means: stop in an emergency, else abort.
    pub ending: Order,
    /// Shows the line at the foot of the display.
    pub foot: Box<dyn Fn(String) + Send>,
}

impl std::fmt::Debug for Wiring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wiring").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// How many runs this process controls. While it is none, [`wake_up`]'s thread is who hears signals.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Makes sure that a signal ends this process when it controls no run any more: a signal that was once caught is caught to the end, and what comes after a
/// run, such as its report, a terminal that nobody reads or the runs that are to be ended next, must not be deaf to it.
fn wake_up() -> std::io::Result<()> {
    static AWAKE: Mutex<bool> = Mutex::new(false);
    let mut awake = AWAKE.lock().unwrap_or_else(PoisonError::into_inner);
    if *awake {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            // Whoever controls a run says what is wrong when they cannot be caught.
            let Ok(mut signals) = Signals::catch() else { return };
            loop {
                let name = signals.next().await;
                if LIVE.load(Ordering::SeqCst) == 0 {
                    std::process::exit(code_of(name));
                }
            }
        });
    })?;
    *awake = true;
    Ok(())
}

/// What a shell says of a process that ended by this signal.
fn code_of(name: &str) -> i32 {
    128 + match name {
        "SIGHUP" => 1,
        "SIGINT" => 2,
        "SIGQUIT" => 3,
        _ => 15,
    }
}

/// The control of one run; ends with the value.
#[derive(Debug)]
pub struct Control {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Begins to listen. Signals are caught and the socket is open when this returns; the second value is why it is not.
    ///
    /// # Errors
    /// When signals cannot be caught: without that no run may begin.
    pub fn start(wiring: Wiring, console: Box<dyn Console>) -> Result<(Self, Option<Exit>), Exit> {
        let refused = |cause: String| Exit::new(Kind::Environment, "signals cannot be caught").cause(cause);
        let (ready, began) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(error.to_string()))),
                };
                runtime.block_on(async {
                    let (signals, socket) = match Signals::catch() {
                        Ok(signals) => (signals, open(&wiring.folder)),
                        Err(error) => return drop(ready.send(Err(error.to_string()))),
                    };
                    let (socket, problem) = socket.map_or_else(|problem| (None, Some(problem)), |socket| (Some(socket), None));
                    // Whoever started this waits for exactly this.
                    let _ = ready.send(Ok(problem));
                    ControlServer::new(wiring, console).sit(signals, socket, ended).await;
                });
            })
            .map_err(|error| refused(error.to_string()))?;
        let problem = began.recv().map_err(|_| Exit::new(Kind::Internal, "control of the run ended while it began"))?.map_err(refused)?;
        LIVE.fetch_add(1, Ordering::SeqCst);
        wake_up().map_err(|error| refused(error.to_string()))?;
        Ok((Self { end: Some(end), thread: Some(thread) }, problem))
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has said so; the run does not depend on it.
            let _ = thread.join();
            LIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn open(folder: &std::path::Path) -> Result<(Socket, UnixListener), Exit> {
    let listen = || {
        let socket = socket::open(folder)?;
        info!(folder = %folder.display(), "control socket opened");
        let listener = socket.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok::<_, std::io::Error>((socket, UnixListener::from_std(listener)?))
    };
    listen().map_err(|error| Exit::new(Kind::Environment, "no control socket can be opened for the run").cause(error.to_string()))
}

/// The signals that end a run.
struct Signals {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.quit.recv() => "SIGQUIT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// The run's state, folded from its events when somebody asks.
#[derive(Clone)]
struct Fold {
    events: Arc<Mutex<Vec<Event>>>,
    state: Arc<Mutex<RunState>>,
}

impl Fold {
    fn now(&self) -> MutexGuard<'_, RunState> {
        // Events are whole, and a state is changed by one assignment a field: after a panic elsewhere it is still of use.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let done = usize::try_from(state.seq).unwrap_or(usize::MAX);
        for event in events.iter().skip(done) {
            // The engine only makes legal events.
            let _ = state.apply(event);
        }
        drop(events);
        state
    }
}

struct ControlServer {
    wiring: Wiring,
    console: Box<dyn Console>,
    fold: Fold,
    foot: String,
}

impl ControlServer {
    fn new(wiring: Wiring, console: Box<dyn Console>) -> Self {
        let fold = Fold { events: wiring.events.clone(), state: Arc::default() };
        Self { wiring, console, fold, foot: String::new() }
    }

    async fn sit(mut self, mut signals: Signals, socket: Option<(Socket, UnixListener)>, mut ended: oneshot::Receiver<()>) {
        let mut keys = self.console.begin(self.wiring.ending == Order::Stop);
        let mut look = tokio::time::interval(LOOK);
        let mut answers = JoinSet::new();
        let mut visits = JoinSet::new();
        let room = Arc::new(Semaphore::new(VISITORS));
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => break,
                name = signals.next() => self.signalled(name),
                typed = next_keys(&mut keys), if keys.is_some() => match typed {
                    Some(typed) => {
                        let order = { let state = self.fold.now(); self.console.typed(&typed, &state) };
                        if let Some((order, why)) = order {
                            let answer = self.pass_on(Asked { order, by: operator(), why }, Witness::user(operator()));
                            answers.spawn(answer);
                        }
                    }
                    None => keys = None,
                },
                Some(Ok(answer)) = answers.join_next() => self.console.answered(answer),
                Some(_) = visits.join_next() => {}
                visitor = accept(socket.as_ref(), &room) => {
                    if let Some((stream, place)) = visitor {
                        let (fold, ask) = (self.fold.clone(), self.wiring.ask.clone());
                        visits.spawn(async move {
                            // Whoever hangs up or says nothing is let go.
                            let _ = attend(stream, &fold, &ask).await;
                            drop(place);
                        });
                    }
                }
                _ = look.tick(), if keys.is_some() => {}
            }
            self.show_foot();
        }
        self.console.end();
    }

    fn show_foot(&mut self) {
        let line = {
            let state = self.fold.now();
            self.console.foot(&state)
        };
        if line != self.foot {
            (self.wiring.foot)(line.clone());
            self.foot = line;
        }
    }

    fn signalled(&mut self, name: &str) {
        info!(name, "signal caught");
        let meaning = match name {
            "SIGINT" => {
                let state = self.fold.now();
                self.console.interrupted(&state)
            }
            "SIGQUIT" => Interrupt::Leave,
            // An emergency outlives its terminal: `lifeboat ctl` reaches it, and its end is in the report.
            "SIGHUP" if self.wiring.ending == Order::Stop => Interrupt::Ask,
            _ => Interrupt::End,
        };
        match meaning {
            Interrupt::Ask => {}
            // After its end the run hears nothing more.
            Interrupt::End => drop(self.wiring.ask.send(Envelope::new(self.wiring.ending.clone(), "signal", format!("signal {name}")))),
            Interrupt::Leave => self.console.leave(&self.wiring.abort_command),
        }
    }

    fn pass_on(&self, asked: Asked, witness: Witness) -> impl Future<Output = Result<(), String>> + 'static {
        pass_on(self.wiring.ask.clone(), asked, witness)
    }
}

async fn next_keys(keys: &mut Option<channel::UnboundedReceiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match keys {
        Some(keys) => keys.recv().await,
        None => std::future::pending().await,
    }
}

/// The next visitor there is room for.
async fn accept(socket: Option<&(Socket, UnixListener)>, room: &Arc<Semaphore>) -> Option<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let Some((_, listener)) = socket else { return std::future::pending().await };
    let place = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(_) => {
            // No descriptor to be had, most likely: not at once again.
            tokio::time::sleep(LOOK).await;
            None
        }
    }
}

/// Gives an order to the run and waits for what comes of it.
async fn pass_on(ask: channel::UnboundedSender<Envelope>, asked: Asked, witness: Witness) -> Result<(), String> {
    let (reply, done) = oneshot::channel();
    let gone = || "the run has ended".to_owned();
    ask.send(Envelope { asked, witness, reply: Some(reply) }).map_err(|_| gone())?;
    match tokio::time::timeout(ANSWER, done).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(gone()),
        Err(_) => Err(format!("the run has not answered within {} s; it may still do it", ANSWER.as_secs())),
    }
}

/// One visitor: one line in, one line out.
async fn attend(mut stream: UnixStream, fold: &Fold, ask: &channel::UnboundedSender<Envelope>) -> std::io::Result<()> {
    let cred = stream.peer_cred()?;
    let peer = cred.uid();
    // Whoever became somebody else to say it is still who they logged in as.
    let logged_in = cred.pid().and_then(|pid| people::logged_in(&pid.to_string()));
    let user = people::name(logged_in.unwrap_or(peer));
    debug!(user, pid = cred.pid(), "control socket: somebody connected");
    let (read, mut write) = stream.split();
    let answer = if peer != rustix::process::getuid().as_raw() && peer != 0 {
        Answer::refused("this run is another user's")
    } else {
        let mut line = Vec::new();
        let mut input = BufReader::new(read.take(wire::LONGEST as u64));
        match tokio::time::timeout(PATIENCE, input.read_until(b'\n', &mut line)).await {
            Ok(Ok(0)) | Ok(Err(_)) => return Ok(()),
            Ok(Ok(_)) if line.ends_with(b"\n") => reply(&line, user, fold, ask).await,
            Ok(Ok(_)) => Answer::refused(format!("one line of at most {} bytes, with its end", wire::LONGEST)),
            Err(_) => Answer::refused(format!("nothing was said within {} s", PATIENCE.as_secs())),
        }
    };
    debug!(ok = answer.ok, why = answer.error.as_deref(), "control socket: answered");
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    match tokio::time::timeout(PATIENCE, write.write_all(&line)).await {
        Ok(written) => written,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

async fn reply(line: &[u8], user: String, fold: &Fold, ask: &channel::UnboundedSender<Envelope>) -> Answer {
    let request = Request::read(line, &fold.now());
    match request {
        Err(why) => Answer::refused(why),
        Ok(Request::Status) => Answer { ok: true, status: Some(Box::new(Status::of(&fold.now()))), error: None },
        Ok(Request::Order(mut asked, signature)) => {
            let is_answer = matches!(asked.order, Order::Answer { .. });
            let key = match signature.filter(|_| is_answer).map(|signature| signed(&asked, &signature, &fold.now())).transpose() {
                Ok(key) => key,
                Err(why) => return Answer::refused(format!("the answer is not signed: {why}")),
            };
            if !is_answer && asked.by != user {
                // Who gave an order is for readers: they read both.
                asked.by = format!("{} (user {user})", asked.by);
            }
            match pass_on(ask.clone(), asked, Witness { user: Some(user), key }).await {
                Ok(()) => Answer { ok: true, ..Answer::default() },
                Err(why) => Answer::refused(why),
            }
        }
    }
}

/// The fingerprint of the key with which whoever an answer names has signed it.
fn signed(asked: &Asked, signature: &str, state: &RunState) -> Result<String, String> {
    let Order::Answer { step, yes } = &asked.order else { return Err("only answers are".into()) };
    let since = state.step(step).and_then(|step| step.question.as_ref()).map(|(since, _)| *since);
    let since = since.ok_or_else(|| format!("{step} asks nothing"))?;
    let approvers = state.plan().map(|plan| plan.approvers.clone()).unwrap_or_default();
    let text = answer_text(&state.run, step, since, *yes);
    let (name, fingerprint) = approvals::by_key(&approvers, signature, text.as_bytes())?;
    if name == asked.by { Ok(fingerprint) } else { Err(format!("the key is that of {name}, not of {}", asked.by)) }
}
