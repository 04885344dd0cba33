//! The course of a demo, step by step, each told as it happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, Seat},
    bot::{self, Session},
    cluster::Cluster,
    progress::Progress,
    report::{Fate, Report, RoomSeen, seconds},
    watch::{self, Watch},
};
use crate::{
    client::JoinOptions,
    model::{RoomId, RoomType},
};

/// The room type that the demo serves: small rooms, so that there are several.
const ROOM_TYPE: &str = "arena";
// Rooms stay when their last player leaves, so that their state can be read back.
const ROOM: &str = "arena=relay,max_players=4,auto_dispose=false";
/// The most time for anything that the cluster does by itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most time for the rooms of a dead server to find another one.
const SETTLE_TIME: Duration = Duration::from_secs(10);
/// Time between two looks at something that is awaited.
const GLANCE: Duration = Duration::from_millis(20);

/// Starts the cluster, lets bots play, kills the leader, and reports what was seen.
pub(super) async fn play(
    cluster: &mut Cluster,
    nodes: usize,
    players: usize,
    play_time: Duration,
) -> Result<Report, String> {
    let progress = Progress::new();
    let tell = |text: String| progress.tell(&text);
    tell(format!("starting {nodes} nodes of this binary on loopback, with throwaway data and secret"));
    let formed = cluster.start(nodes, ROOM).await.map_err(|error| error.to_string())?;
    tell(format!("the cluster formed {} after the last node's start", seconds(formed)));

    let room_type = RoomType::new(ROOM_TYPE).map_err(|error| error.to_string())?;
    let board = Arc::new(Board::new(players, cluster.living().map(|node| node.gateway.clone()).collect()));
    let stop = CancellationToken::new();
    let watch = Watch::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(watch.clone().run(cluster.living().map(|node| node.ops.clone()).collect(), stop.clone()));
    let mut bots = JoinSet::new();
    for bot in 0..players {
        bots.spawn(bot::play(bot, room_type.clone(), Arc::clone(&board), stop.clone()));
    }
    let all_play = || board.seated_count() == players;
    if !eventually(all_play).await {
        return Err(format!("only {} of {players} bots found a room: {}", board.seated_count(), board.last_failure()));
    }
    let (joins, redirects, _) = board.counts();
    tell(format!("{players} bots play: {joins} joins, {redirects} redirects"));
    progress.pass(play_time / 3, &board).await;

    let mut report = Report { nodes, formed, players, ..Report::default() };
    let (killed, dead_rooms) = kill_the_leader(cluster, &room_type, &board, &mut report, &tell).await?;
    progress.pass((play_time * 2 / 3).saturating_sub(killed.elapsed()), &board).await;

    stop.cancel();
    read_back(bots, &board, &dead_rooms, &mut report).await;
    (report.joins, report.redirects, report.acknowledged) = board.counts();
    report.overfull = watch.overfull();
    report.broken.extend(cluster.fallen(Some(&report.killed)));
    tell(format!("the bots stop; the state of {} rooms was read back", report.rooms_checked));
    Ok(report)
}

/// Kills the leader's process and watches what comes of it; gives the moment of the kill, and the rooms of the dead.
async fn kill_the_leader(
    cluster: &mut Cluster,
    room_type: &RoomType,
    board: &Board,
    report: &mut Report,
    tell: &impl Fn(String),
) -> Result<(Instant, BTreeSet<String>), String> {
    let ops = cluster.living().next().map(|node| node.ops.clone()).ok_or("no node runs")?;
    let leader = watch::leader(&ops).await.ok_or("no leader is known")?;
    let before = watch::rooms(&ops).await?;
    let owner = |seat: &Seat| before.get(&seat.room_id).and_then(|room| room.server_id.clone());
    let (displaced, others): (Vec<_>, Vec<_>) =
        board.seats().into_iter().partition(|seat| owner(seat).as_ref() == Some(&leader));
    tell(format!("kill -9 {leader}, the leader, with {} players in its rooms", displaced.len()));
    let killed = Instant::now();
    cluster.kill(&leader).await.map_err(|error| format!("{leader} cannot be killed ({error})"))?;
    let gateways: Vec<String> = cluster.living().map(|node| node.gateway.clone()).collect();
    board.set_gateways(gateways.clone());

    report.joins_again = joins_through_all(&gateways, room_type, killed).await;
    let ops = &cluster.living().next().map(|node| node.ops.clone()).ok_or("no node survived")?;
    report.leader_after = new_leader(ops, &leader).await;
    let leads = report.leader_after.as_deref().unwrap_or("nobody");
    let again = report.joins_again.map_or("not again".to_owned(), |time| format!("again after {}", seconds(time)));
    tell(format!("{leads} leads; joins through every survivor work {again}"));

    report.fate = fate(ops, &leader, &before).await?;
    let Fate { before: rooms, taken_over, waiting, disposed, .. } = report.fate;
    tell(format!(
        "of {rooms} rooms of {leader}, {taken_over} were taken over, {waiting} wait, {disposed} were disposed of"
    ));

    let displaced: Vec<usize> = displaced.into_iter().map(|seat| seat.bot).collect();
    report.displaced = displaced.len();
    eventually(|| board.back(&displaced, killed).0 == displaced.len()).await;
    (report.back, report.back_after) = board.back(&displaced, killed);
    tell(format!("{} of {} displaced players play again", report.back, report.displaced));

    let disturbed: Vec<&Seat> =
        others.iter().filter(|seat| board.interruptions(seat.bot) > seat.interruptions).collect();
    report.undisturbed = others.len() - disturbed.len();
    let disturbed =
        disturbed.iter().map(|seat| format!("bot {} was disturbed though its room's server lives", seat.bot));
    report.broken.extend(disturbed);
    let is_dead = |room: &RoomSeen| room.server_id.as_ref() == Some(&leader);
    let dead_rooms = before.iter().filter(|(_, room)| is_dead(room)).map(|(room_id, _)| room_id.clone()).collect();
    report.killed = leader;
    Ok((killed, dead_rooms))
}

/// Waits until something is so; whether it came true in time.
async fn eventually(is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        sleep(GLANCE).await;
    }
    true
}

/// The time from the kill until a new player got a seat through each of these gateways.
async fn joins_through_all(gateways: &[String], room_type: &RoomType, killed: Instant) -> Option<Duration> {
    let mut probes = JoinSet::new();
    for gateway in gateways {
        let (gateway, options) = (gateway.clone(), JoinOptions::room_type(room_type.clone()));
        probes.spawn(async move {
            while killed.elapsed() < PATIENCE {
                if let Ok(session) = Session::join(vec![gateway.clone()], options.clone()).await {
                    let elapsed = killed.elapsed();
                    // Where it is cut off before, its seat is freed by the end of the grace time.
                    let _ = session.leave().await;
                    return Some(elapsed);
                }
                sleep(GLANCE).await;
            }
            None
        });
    }
    let times = probes.join_all().await;
    times.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Who leads now that `dead` does not.
async fn new_leader(ops: &str, dead: &str) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match watch::leader(ops).await {
            Some(leader) if leader != dead => return Some(leader),
            _ => sleep(GLANCE).await,
        }
    }
    None
}

/// What became of the dead server's rooms, once each has a new owner or is disposed of; some may wait for longer.
async fn fate(ops: &str, dead: &str, before: &BTreeMap<String, RoomSeen>) -> Result<Fate, String> {
    let deadline = Instant::now() + SETTLE_TIME;
    loop {
        let fate = Fate::new(dead, before, &watch::rooms(ops).await?);
        if fate.stuck + fate.waiting == 0 || Instant::now() > deadline {
            return Ok(fate);
        }
        sleep(GLANCE).await;
    }
}

/// One bot of each room makes place for a reader that gets the whole state: nothing acknowledged may be missing.
/// Rooms of the dead server are exempt: what they had since their last snapshot went with it.
async fn read_back(mut bots: JoinSet<Option<Session>>, board: &Board, exempt: &BTreeSet<String>, report: &mut Report) {
    let mut rooms = BTreeMap::new();
    while let Some(ended) = bots.join_next().await {
        match ended {
            Ok(Some(session)) => _ = rooms.insert(session.room_id().clone(), session),
            Ok(None) => {}
            Err(error) => report.broken.push(format!("a bot broke down ({error})")),
        }
    }
    rooms.retain(|room_id, _| !exempt.contains(room_id.as_str()));
    for (room_id, session) in rooms {
        let expected = board.acknowledged_in(room_id.as_str());
        let Some(state) = state_of(&room_id, &session, board).await else {
            report.broken.push(format!("the room {room_id} could not be read back"));
            continue;
        };
        report.rooms_checked += 1;
        let missing = expected.iter().filter(|(key, value)| state[key.as_str()].as_u64() < Some(**value));
        report.lost.extend(missing.map(|(key, value)| {
            format!("the room {room_id} has {} for {key}, though {value} was acknowledged", state[key.as_str()])
        }));
    }
}

/// The whole state of a room, by a reader in the seat that `session` gives up.
async fn state_of(room_id: &RoomId, session: &Session, board: &Board) -> Option<Value> {
    let deadline = Instant::now() + PATIENCE;
    session.leave().await.ok()?;
    while Instant::now() < deadline {
        // The seat is free a moment after it was left.
        match Session::join(board.gateways(0), JoinOptions::room_id(room_id.clone())).await {
            Ok(mut reader) => return reader.state().await,
            Err(_) => sleep(GLANCE).await,
        }
    }
    None
}
