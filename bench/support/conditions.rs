//! What the machine was like while a benchmark ran.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    time::{Duration, Instant},
};

/// So many appends are timed.
const APPENDS: usize = 200;

/// The conditions of the moment.
#[derive(Debug)]
pub struct Conditions {
    cores: usize,
    load: String,
    fdatasync: Result<Duration, io::Error>,
}

impl Conditions {
    /// Looks at the machine; takes a moment, since the disk is tried.
    pub fn now() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned();
        Self { cores, load, fdatasync: fdatasync_median() }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cores, load average {}, ", self.cores, self.load)?;
        match &self.fdatasync {
            Ok(median) => write!(f, "fdatasync of 4 KiB: median {:.2} ms", median.as_secs_f64() * 1000.0),
            Err(error) => write!(f, "fdatasync could not be timed ({error})"),
        }
    }
}

/// The median time of an append of 4 KiB with its fdatasync, where throwaway folders are.
fn fdatasync_median() -> io::Result<Duration> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("appended"))?;
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[APPENDS / 2])
}
