//! The loop around [`step`](crate::step): waits for something to happen, reads both clocks, takes
//! the step, and has its effects performed.

mod head;
mod perform;
pub(crate) mod reading;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devmesh_bus::client::{self, Client};
use devmesh_bus::intake::{Bounds, Intake, Message, Trust};
use devmesh_bus::log::nats::NatsOpen;
use devmesh_bus::notice::{Announcer, LeaderWatch};
use devmesh_bus::{ErrorKind, connect};
use devmesh_protocol::ActorId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Args;
use crate::effect::Effect;
use crate::error::Error;
use crate::input::{self, Input, Now};
use crate::step::{self, wake_at};
use crate::view::{Options, View};
use perform::Hands;

/// Messages taken at a time.
const MESSAGES: usize = 256;
/// How long a coordinator waits for its bus when it starts.
const START: Duration = Duration::from_secs(30);
/// The pause between two tries.
const START_PAUSE: Duration = Duration::from_millis(100);
/// A watch that has no patience to lose: silence is judged in the step.
const LONG: Duration = Duration::from_secs(3_600);
/// How long the end may take.
const STOP: Duration = Duration::from_secs(5);
/// Between two looks at what was dropped before it came here.
const DROPPED: Duration = Duration::from_secs(1);

/// Runs a coordinator until `shutdown`, or until it halts.
pub(crate) async fn run(args: Args, shutdown: CancellationToken) -> Result<(), Error> {
    let Some(ears) = connect(&args, &shutdown).await? else { return Ok(()) };
    let bus = |what: &'static str| {
        move |source: devmesh_bus::Error| Error::Bus { what: what.to_owned(), source }
    };
    let trust = if args.trust_everybody { Trust::Everybody } else { Trust::Accounts };
    let intake =
        Intake::start(&ears, trust, Bounds::default()).await.map_err(bus("hear heartbeats"))?;
    let watch = LeaderWatch::subscribe(&ears).await.map_err(bus("hear the leader"))?;
    let head = args.state_dir.as_deref().map(head::path);
    let known = head.as_deref().map(head::known).transpose()?.flatten();
    let options = connect::Options { reconnect: false, ..connect::Options::default() };
    let actor = ActorId::coordinator();
    let open =
        NatsOpen::new(&args.nats_url, args.creds.as_deref(), &args.mesh, actor.as_str(), options);
    let seed = uuid::Uuid::now_v7().as_u64_pair().1;
    let node = format!("{}-{:04x}", node_name(&args), seed & 0xffff);
    let hands =
        Hands::new(ears.clone(), Announcer::new(&ears), intake, open, (head, args.store_dir));
    let view = View::new(Options { node, seed, known });
    let driver = Driver { view, hands, watch, origin: Instant::now(), effects: Vec::new() };
    driver.run(shutdown).await
}

async fn connect(args: &Args, shutdown: &CancellationToken) -> Result<Option<Client>, Error> {
    let until = Instant::now() + START;
    let options =
        connect::Options { name: Some("devmesh coordinator".into()), ..Intake::options() };
    loop {
        let (url, creds) = (&args.nats_url, args.creds.as_deref());
        let actor = ActorId::coordinator();
        let connecting = Client::connect_with(url, creds, &args.mesh, &actor, &options);
        let connected = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            connected = connecting => connected,
        };
        match connected {
            Ok(client) => return Ok(Some(client)),
            Err(source) if source.kind() == ErrorKind::Denied || Instant::now() > until => {
                return Err(Error::Bus { what: "reach the bus".into(), source });
            }
            Err(error) => tracing::debug!(%error, "the bus is not there yet"),
        }
        tokio::time::sleep(START_PAUSE).await;
    }
}

fn node_name(args: &Args) -> String {
    let from_system = || {
        let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        std::env::var("HOSTNAME").unwrap_or(name)
    };
    let name = args.node.clone().unwrap_or_else(from_system).to_ascii_lowercase();
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let name: String = name.trim().chars().filter(plain).take(40).collect();
    if name.is_empty() { "coordinator".to_owned() } else { name }
}

struct Driver {
    view: View,
    hands: Hands,
    watch: LeaderWatch,
    origin: Instant,
    effects: Vec<Effect>,
}

impl Driver {
    fn now(&self) -> Now {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { wall_ms: ms(wall), mono_ms: ms(self.origin.elapsed()) }
    }

    async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        step::start(&mut self.view, &mut self.effects);
        let (mut messages, mut inputs) = (Vec::with_capacity(MESSAGES), Vec::new());
        let mut stop_by: Option<Instant> = None;
        let mut dropped_at = Instant::now();
        loop {
            let now = self.now();
            for effect in self.effects.drain(..) {
                if let Some(end) = self.hands.perform(effect, now).await {
                    self.hands.flush().await;
                    return end;
                }
            }
            if stop_by.is_some_and(|by| Instant::now() > by) {
                tracing::warn!("the end took too long; what is under way is left as it is");
                return Ok(());
            }
            if dropped_at.elapsed() > DROPPED {
                dropped_at = Instant::now();
                inputs.push(Input::Dropped(self.hands.dropped()));
            }
            self.wait(&shutdown, &mut stop_by, &mut messages, &mut inputs).await;
            self.turn(&mut messages, &mut inputs);
        }
    }

    /// Waits for something to happen.
    async fn wait(
        &mut self,
        shutdown: &CancellationToken,
        stop_by: &mut Option<Instant>,
        messages: &mut Vec<Message>,
        inputs: &mut Vec<Input>,
    ) {
        let now = self.now();
        let wake = self.origin + Duration::from_millis(wake_at(&self.view, now));
        let (hands, watch) = (&mut self.hands, &mut self.watch);
        let Hands { intake, work, .. } = hands;
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if stop_by.is_none() => {
                *stop_by = Some(Instant::now() + STOP);
                inputs.push(Input::Stop);
            }
            () = work.next(inputs) => {}
            beat = watch.next(LONG) => inputs.extend(beat.map(Input::Leader)),
            () = tokio::time::sleep_until(wake) => {
                inputs.extend(work.lost());
                // What came in time counts, however late this is.
                intake.try_recv_many(messages, MESSAGES);
                inputs.push(Input::Tick);
            }
            _ = intake.recv_many(messages, MESSAGES) => {}
        }
    }

    /// Takes what has happened, at one time.
    fn turn(&mut self, messages: &mut Vec<Message>, inputs: &mut Vec<Input>) {
        let now = self.now();
        let tick = inputs.pop_if(|last| matches!(last, Input::Tick));
        for input in inputs.drain(..) {
            step::step(&mut self.view, now, input, &mut self.effects);
        }
        for message in messages.drain(..) {
            if let Some(input) = input::read(message, client::mint) {
                step::step(&mut self.view, now, input, &mut self.effects);
            }
        }
        if let Some(tick) = tick {
            step::step(&mut self.view, now, tick, &mut self.effects);
        }
        step::settle(&mut self.view, now, &mut self.effects);
    }
}

/// The file in the state folder that holds the head.
pub(crate) type HeadFile = Option<PathBuf>;
