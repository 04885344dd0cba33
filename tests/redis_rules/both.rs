//! The two backends side by side.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use roomraft::{
    adapter::{
        Consistency, DistributedAdapter, EventFilter, EventItem, EventStream, MemoryAdapter, MemoryOptions,
        RedisAdapter, RedisOptions,
    },
    clock::Clock,
    model::{DistributedEvent, EventKind, EventPayload, Metadata, RoomQuery, ServerRegistration},
};

use crate::{
    lossy::LossyWay,
    side::{Side, room_type, server_id},
    steps::{SERVERS, Step, TYPES},
};

/// A server's lease.
const TTL: Duration = Duration::from_secs(10);
/// The longest step of time between two heartbeats of the servers that live.
const RENEWAL_MS: u64 = 4000;
/// The event after which no more are read.
const END: &str = "the end";

pub struct Both {
    clock: Clock,
    memory: MemoryAdapter,
    sides: [Side; 2],
    events: [EventStream; 2],
    /// Where replies are lost an event may come twice: what happened is not compared then.
    way: Option<LossyWay>,
}

impl Both {
    pub async fn start(url: &str) -> Self {
        let clock = Clock::manual(1_700_000_000_000);
        let options = MemoryOptions {
            server_ttl: TTL,
            enable_ttl_check: false,
            clock: clock.clone(),
            ..MemoryOptions::default()
        };
        let memory = MemoryAdapter::new(options);
        let siblings = [memory.sibling(), memory.sibling()];
        let memories = siblings.into_iter().map(|handle| Arc::new(handle) as Arc<dyn DistributedAdapter>).collect();
        let prefix = format!("test-{:016x}:", rand::random::<u64>());
        let redis = || {
            let (prefix, clock) = (prefix.clone(), clock.clone());
            let options = RedisOptions { prefix, clock, server_ttl: TTL, ..RedisOptions::new([url]) };
            Arc::new(RedisAdapter::new(options)) as Arc<dyn DistributedAdapter>
        };
        let sides = [Side::new(memories), Side::new(vec![redis(), redis()])];
        memory.connect().await.unwrap();
        for handle in sides.iter().flat_map(|side| &side.handles) {
            handle.connect().await.unwrap();
        }
        let events = [
            sides[0].handles[0].subscribe(EventFilter::All, None).await.unwrap(),
            sides[1].handles[0].subscribe(EventFilter::All, None).await.unwrap(),
        ];
        Self { clock, memory, sides, events, way: None }
    }

    /// Keeps the way that it uses.
    pub fn over(self, way: LossyWay) -> Self {
        Self { way: Some(way), ..self }
    }

    pub async fn stop(&self) {
        for handle in self.sides.iter().flat_map(|side| &side.handles) {
            handle.disconnect().await.unwrap();
        }
        self.memory.disconnect().await.unwrap();
    }

    /// Runs the steps on both; says where they differ.
    pub async fn run(&mut self, steps: &[Step]) -> Result<(), String> {
        for (number, step) in steps.iter().enumerate() {
            let mut seen = Vec::new();
            // Rooms of different shards are ordered by time, so some passes between two of them.
            let (ms, alive) = if let Step::Wait { ms, alive } = step { (*ms, *alive) } else { (1, 0) };
            self.wait(ms, alive).await?;
            for side in &mut self.sides {
                seen.push(side.run(step).await);
            }
            if seen[0] != seen[1] {
                return Err(format!(
                    "step {number}, {step:?}, gave\n{:?}\nin the registry and\n{:?}",
                    seen[0], seen[1]
                ));
            }
            let mut states = Vec::new();
            for side in &mut self.sides {
                states.push(state(side).await);
            }
            if states[0] != states[1] {
                return Err(format!("after step {number}, {step:?}:\n{}", difference(&states[0], &states[1])));
            }
        }
        if self.way.is_none() { self.compare_events().await } else { Ok(()) }
    }

    async fn wait(&mut self, ms: u64, alive: u8) -> Result<(), String> {
        let mut left = ms;
        while left > 0 {
            let some = left.min(RENEWAL_MS);
            left -= some;
            self.clock.advance(Duration::from_millis(some));
            self.memory.expire();
            // Reading the servers carries out what is due.
            self.sides[1].handles[0].servers(Consistency::Linearizable).await.unwrap();
            for number in (0..SERVERS).filter(|number| alive & (1 << number) != 0) {
                let mut seen = Vec::new();
                for side in &mut self.sides {
                    seen.push(side.run(&Step::Heartbeat { server: number, stale: false }).await);
                }
                if seen[0] != seen[1] {
                    return Err(format!("a heartbeat of server {number}: {:?} {:?}", seen[0], seen[1]));
                }
            }
            // Hours pass at once where nobody lives.
            if alive.is_multiple_of(8) {
                self.clock.advance(Duration::from_millis(std::mem::take(&mut left)));
                self.memory.expire();
                self.sides[1].handles[0].servers(Consistency::Linearizable).await.unwrap();
            }
        }
        Ok(())
    }

    async fn compare_events(&mut self) -> Result<(), String> {
        let mut stories = Vec::new();
        for (side, events) in self.sides.iter().zip(&mut self.events) {
            let end = DistributedEvent {
                kind: EventKind::Custom(END.to_owned()),
                server_id: None,
                room_id: None,
                payload: EventPayload::None,
                timestamp: 0,
                revision: None,
            };
            side.handles[0].publish(end).await.unwrap();
            stories.push(stories_of(side, events).await);
        }
        if stories[0] == stories[1] {
            return Ok(());
        }
        Err(format!("events in the registry:\n{:#?}\nand in Redis:\n{:#?}", stories[0], stories[1]))
    }
}

/// The lines that differ.
fn difference(registry: &str, redis: &str) -> String {
    let of = |name: &'static str, text: &str, other: &str| {
        let other: Vec<String> = other.lines().map(str::to_owned).collect();
        let lines = text.lines().filter(|line| !other.iter().any(|known| known == line)).map(str::to_owned);
        lines.map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
    };
    [of("registry", registry, redis), of("redis", redis, registry)].concat().join("\n")
}

/// Everything that can be read.
async fn state(side: &mut Side) -> String {
    let handle = Arc::clone(&side.handles[1]);
    let mut lines = Vec::new();
    for number in 0..SERVERS {
        let id = server_id(number);
        let server = handle.server(&id).await.unwrap().map(|server| ServerRegistration {
            last_heartbeat: 0,
            epoch: roomraft::model::Epoch((server.epoch == side.server(number, false).epoch).into()),
            node_id: roomraft::model::NodeId(0),
            ..server
        });
        lines.push(format!("{server:?}"));
        for room in handle.offered_rooms(&id, Consistency::Linearizable).await.unwrap() {
            lines.push(format!("offered: {}", side.note(&room)));
        }
        for room in handle.rooms_by_server(&id).await.unwrap() {
            lines.push(format!("owned: {}", side.note(&room)));
        }
    }
    for room in handle.rooms(&RoomQuery::default(), Consistency::Linearizable).await.unwrap() {
        lines.push(side.note(&room));
        let snapshot = handle.load_snapshot(&room.room_id).await.unwrap();
        lines.push(format!("saved: {:?}", snapshot.map(|snapshot| snapshot.state)));
    }
    let desert = RoomQuery { metadata: [("kind", 1)].into_iter().collect::<Metadata>(), ..RoomQuery::default() };
    lines.push(format!("{}", handle.rooms(&desert, Consistency::Linearizable).await.unwrap().len()));
    for number in 0..TYPES {
        let open = handle.find_available_room(&room_type(number)).await.unwrap();
        lines.push(format!("open: {:?}", open.map(|room| side.note(&room))));
    }
    lines.push(format!("{:?}", handle.totals(&server_id(0)).await.unwrap()));
    lines.join("\n")
}

/// What happened to each room and server, in order.
async fn stories_of(side: &Side, events: &mut EventStream) -> BTreeMap<String, Vec<String>> {
    let mut stories: BTreeMap<String, Vec<String>> = BTreeMap::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), events.next()).await.unwrap();
        let Some(EventItem::Event(event)) = next else { panic!("the subscription gave {next:?}") };
        if event.kind.name() == END {
            return stories;
        }
        let about = event.room_id.as_ref().map_or_else(|| format!("{:?}", event.server_id), ToString::to_string);
        let told = format!("{} by {:?}: {:?}", event.kind.name(), event.server_id, event.payload);
        stories.entry(side.plain(&about)).or_default().push(side.plain(&told));
    }
}
