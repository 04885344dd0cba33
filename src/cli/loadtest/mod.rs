//! `roomraft loadtest`: how many joins and messages a running cluster bears, as its players feel it.
//!
//! Real players over WebSockets: callers with a few players each, spread over the gateways. Joins
//! come first (`JoinRoom` to its final answer, redirects included, over connections that are open),
//! then messages from player to player through a room. Everybody leaves at the end. It does not
//! start or change servers, and does not judge speed: it fails only where something was refused or lost.

mod gateways;
mod phase;
mod player;
mod progress;
mod report;
mod tally;
mod trouble;

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

use self::{
    phase::{Caller, Task},
    player::{Common, Player},
    report::Row,
    tally::Tally,
    trouble::Trouble,
};
use super::{Failure, query::Query};
use crate::{
    client::{ClientConfig, address},
    model::RoomType,
    node::stop_signal,
    protocol::JoinRoomInput,
};

/// Players of one caller where joins are measured: so many of its seats are taken at a time.
const STAYING: usize = 4;
/// Callers whose players connect at the same time.
const CONNECTING: usize = 8;
/// Players of one caller where only messages are measured.
const TALKING: usize = 2;

/// Measures joins and messages of a running cluster, through its gateways
///
/// Players of many callers join rooms of a type and leave them again; then pairs of players send
/// each other messages, in rooms of their own. Everybody leaves at the end. Ctrl-C ends it with the
/// figures so far, a second one at once. It exits 0 only if nothing was refused or lost.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    query: Query,
    /// A gateway: HOST:PORT, ws://… or wss://…; repeatable [default: those of all servers that --ops knows]
    #[arg(long = "gateway", value_name = "ADDRESS")]
    gateways: Vec<String>,
    /// The type of the rooms
    #[arg(long, value_name = "NAME", default_value = "relay")]
    room_type: String,
    /// Callers, each with 4 players of whom one joins at a time; for messages, each is a pair of players
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=10_000), allow_negative_numbers = true)]
    callers: u16,
    /// How long each of the two is measured
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400), allow_negative_numbers = true)]
    seconds: u32,
    /// Text in each message
    #[arg(long, value_name = "BYTES", default_value_t = 256, value_parser = clap::value_parser!(u32).range(0..=1_000_000), allow_negative_numbers = true)]
    message_bytes: u32,
    /// Measure the one without the other
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Option<Phase>,
    /// What one connection sends at most, 0 for no limit; nodes refuse more than their own --packets-per-second, 200 by default
    #[arg(long, value_name = "N", default_value_t = 180, value_parser = clap::value_parser!(u32).range(0..=1_000_000), allow_negative_numbers = true)]
    packets_per_second: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    Joins,
    Messages,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let room_type = RoomType::new(arguments.room_type.clone())
        .map_err(|error| Failure::Configuration(format!("--room-type: {error}")))?;
    let gateways = gateways::find(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Fault(format!("no threads to run on ({error})")))?;
    let rows = runtime.block_on(interruptible(arguments, room_type, &gateways)).map_err(Failure::Fault)?;
    report::print(&rows, arguments.query.json);
    report::verdict(&rows).map_err(Failure::Fault)
}

/// Measures until the time is over or a signal comes; ends at once at a second one.
async fn interruptible(arguments: &Arguments, room_type: RoomType, gateways: &[String]) -> Result<Vec<Row>, String> {
    let stop = CancellationToken::new();
    let mut measuring = pin!(measure(arguments, room_type, gateways, stop.clone()));
    tokio::select! {
        rows = &mut measuring => return rows,
        _ = stop_signal() => stop.cancel(),
    }
    tokio::select! {
        rows = &mut measuring => rows,
        signal = stop_signal() => {
            Err(format!("stopped by a second {signal}: its players' seats stay taken until their rooms' grace is over"))
        }
    }
}

async fn measure(
    arguments: &Arguments,
    room_type: RoomType,
    gateways: &[String],
    stop: CancellationToken,
) -> Result<Vec<Row>, String> {
    let tally = || Tally::new().map_err(|error| format!("no room for the figures ({error})"));
    let packet_time = Duration::from_secs(1).checked_div(arguments.packets_per_second).unwrap_or_default();
    let secure = gateways.first().is_some_and(|gateway| address::is_secure(gateway));
    let common = Common { client: ClientConfig::default(), packet_time, secure, connects: tally()? };
    let common = Arc::new(common);
    let mut callers = connect(arguments, gateways, &common).await?;
    try_out(&mut callers, &room_type).await?;

    let mut rows = Vec::new();
    for (phase, name) in [(Phase::Joins, "joins"), (Phase::Messages, "messages")] {
        if arguments.only.is_some_and(|only| only != phase) || stop.is_cancelled() {
            continue;
        }
        let tally = Arc::new(tally()?);
        let task = Arc::new(Task {
            room_type: room_type.clone(),
            tally: Arc::clone(&tally),
            seconds: Duration::from_secs(arguments.seconds.into()),
            stop: stop.clone(),
            message_bytes: usize::try_from(arguments.message_bytes).unwrap_or(usize::MAX),
        });
        let (own, began) = (processor_time(), Instant::now());
        let time = task.seconds;
        let (back, took) = match phase {
            Phase::Joins => progress::watched(name, time, &tally, phase::joins(callers, task)).await,
            Phase::Messages => progress::watched(name, time, &tally, phase::messages(callers, task)).await,
        };
        callers = back;
        let own_cores = Some((processor_time() - own) / began.elapsed().as_secs_f64());
        rows.push(Row { phase: name, seconds: Some(took.as_secs_f64()), own_cores, summary: tally.summary() });
    }
    rows.insert(0, Row { phase: "connects", seconds: None, own_cores: None, summary: common.connects.summary() });
    Ok(rows)
}

/// Connects all players; the first that cannot be is the end of it.
async fn connect(arguments: &Arguments, gateways: &[String], common: &Arc<Common>) -> Result<Vec<Caller>, String> {
    let count = if arguments.only == Some(Phase::Messages) { TALKING } else { STAYING };
    let connecting =
        gateways.iter().cycle().take(arguments.callers.into()).enumerate().map(|(number, home)| async move {
            let players = (0..count).map(|_| Player::connect(Arc::clone(common), home.clone()));
            try_join_all(players).await.map(|players| Caller { number, players })
        });
    stream::iter(connecting).buffered(CONNECTING).try_collect().await.map_err(|trouble: Trouble| {
        format!("{} (connections so far: {}; see --gateway and --ops)", trouble.line(), common.connects.counts().0)
    })
}

/// One join, whose refusal says more than a thousand refusals.
async fn try_out(callers: &mut [Caller], room_type: &RoomType) -> Result<(), String> {
    let Some(player) = callers.first_mut().and_then(|caller| caller.players.first_mut()) else { return Ok(()) };
    let input = JoinRoomInput { room_type: Some(room_type.clone()), ..JoinRoomInput::default() };
    player.join(input).await.map_err(|trouble| trouble.line())?;
    player.leave().await.map_err(|trouble| trouble.line())
}

/// The processor time that this process has used, in seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default()).as_secs_f64()
}
