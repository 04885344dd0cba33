//! What the disk and the loopback network take by themselves.

use std::{
    fs::File,
    io::Write,
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{PAYLOAD_BYTES, Slice, bench::figures};

/// Time between two appends of the one who only looks how long they take.
const LOOK: Duration = Duration::from_millis(20);
/// Round trips that are timed.
const ROUND_TRIPS: usize = 2000;

/// Appends one after the other, each with its fdatasync.
pub fn run(seconds: usize) -> Slice {
    let until = Instant::now() + Duration::from_secs(seconds as u64);
    let times = appends(|| Instant::now() >= until, Duration::ZERO);
    let per_second = figures::count(times.len()) / figures::count(seconds);
    Slice { per_second, p50_ms: at(&times, 500), p99_ms: at(&times, 990), p999_ms: at(&times, 999), processor_us: 0.0 }
}

/// The median time of an append with its fdatasync, in milliseconds, while something else is done.
pub fn beside<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| appends(|| over.load(Ordering::Relaxed), LOOK));
        let done = work();
        over.store(true, Ordering::Relaxed);
        (done, at(&looking.join().expect("the disk takes appends"), 500))
    })
}

fn appends(is_over: impl Fn() -> bool, pause: Duration) -> Vec<Duration> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = File::create(folder.path().join("appended")).expect("a file");
    let mut times = Vec::new();
    while !is_over() {
        let began = Instant::now();
        file.write_all(&[7; PAYLOAD_BYTES]).and_then(|()| file.sync_data()).expect("room on the disk");
        times.push(began.elapsed());
        std::thread::sleep(pause);
    }
    times.sort_unstable();
    times
}

/// The median time of a datagram to another thread and back, in milliseconds.
pub fn round_trip_ms() -> f64 {
    let (near, far) = (bound(), bound());
    let (here, there) = (near.local_addr().expect("an address"), far.local_addr().expect("an address"));
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut packet = [0; PAYLOAD_BYTES];
            for _ in 0..ROUND_TRIPS {
                let (bytes, _) = far.recv_from(&mut packet).expect("a datagram");
                far.send_to(&packet[..bytes], here).expect("sent");
            }
        });
        let mut packet = [7; PAYLOAD_BYTES];
        for _ in 0..ROUND_TRIPS {
            let began = Instant::now();
            near.send_to(&packet, there).expect("sent");
            near.recv_from(&mut packet).expect("an echo");
            times.push(began.elapsed());
        }
    });
    times.sort_unstable();
    at(&times, 500)
}

fn bound() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    socket
}

fn at(times: &[Duration], thousandth: usize) -> f64 {
    figures::percentile(times, thousandth).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
