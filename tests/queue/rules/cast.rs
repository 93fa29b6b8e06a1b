//! Jobs that note who runs beside them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use queue::{Attempt, Job, JobResult, Outcome, Pool, Registry, Running, Worker};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use crate::harness::World;

/// What all jobs of a test note down together.
#[derive(Clone)]
pub(super) struct Scene {
    seen: Arc<Mutex<Seen>>,
    passed: Arc<Notify>,
    told: Arc<Semaphore>,
}

#[derive(Default)]
struct Seen {
    order: Vec<u128>,
    passes: usize,
    now: HashMap<String, usize>,
    most: HashMap<String, usize>,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            seen: Arc::default(),
            passed: Arc::default(),
            told: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Scene {
    /// How many jobs began.
    pub(super) fn ran(&self) -> usize {
        self.seen.lock().unwrap().order.len()
    }

    /// Their numbers, in the order in which they began.
    pub(super) fn order(&self) -> Vec<u128> {
        self.seen.lock().unwrap().order.clone()
    }

    /// How many jobs of a lane, of a key, or of `all` ran at once at most.
    pub(super) fn most_at_once(&self, of: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.most.get(of).copied().unwrap_or_default()
    }

    /// Lets so many jobs end that wait to be told.
    pub(super) fn tell(&self, jobs: usize) {
        self.told.add_permits(jobs);
    }

    pub(super) async fn until_passed(&self, count: usize) {
        while self.seen.lock().unwrap().passes < count {
            self.passed.notified().await;
        }
    }

    fn begin(&self, load: &Load) {
        let mut seen = self.seen.lock().unwrap();
        seen.order.push(load.number);
        for name in load.names() {
            let now = seen.now.entry(name.clone()).or_default();
            *now += 1;
            let now = *now;
            let most = seen.most.entry(name).or_default();
            *most = now.max(*most);
        }
    }

    fn end(&self, load: &Load) {
        let mut seen = self.seen.lock().unwrap();
        for name in load.names() {
            *seen.now.entry(name).or_default() -= 1;
        }
    }
}

/// Runs for a while.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Load {
    number: u128,
    lane: Option<Uuid>,
    key: Option<String>,
    millis: u64,
    told: bool,
}

pub(super) fn lane(number: u128) -> Uuid {
    Uuid::from_u128(number + 1)
}

impl Load {
    pub(super) fn new(number: u128) -> Self {
        Self {
            number,
            lane: None,
            key: None,
            millis: 0,
            told: false,
        }
    }

    pub(super) fn of(self, lane: Uuid) -> Self {
        Self {
            lane: Some(lane),
            ..self
        }
    }

    pub(super) fn under(self, key: &str) -> Self {
        Self {
            key: Some(key.into()),
            ..self
        }
    }

    pub(super) fn for_millis(self, millis: u64) -> Self {
        Self { millis, ..self }
    }

    /// Runs until [`Scene::tell`] lets one end.
    pub(super) fn until_told(self) -> Self {
        Self { told: true, ..self }
    }

    fn names(&self) -> Vec<String> {
        let lane = self.lane.map(|lane| lane.to_string());
        let names = [Some("all".to_owned()), lane, self.key.clone()];
        names.into_iter().flatten().collect()
    }
}

impl Job for Load {
    const NAME: &'static str = "load";
    const QUEUE: &'static str = "load";
    type Ctx = Scene;

    fn lane(&self) -> Option<Uuid> {
        self.lane
    }

    fn limit_key(&self) -> Option<String> {
        self.key.clone()
    }

    async fn run(&self, scene: &Scene, _: &Attempt) -> JobResult {
        scene.begin(self);
        if self.millis > 0 {
            tokio::time::sleep(Duration::from_millis(self.millis)).await;
        }
        if self.told {
            scene.told.acquire().await?.forget();
        }
        scene.end(self);
        Ok(Outcome::Done)
    }
}

/// Another kind in the same queue.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pass;

impl Job for Pass {
    const NAME: &'static str = "pass";
    const QUEUE: &'static str = "load";
    type Ctx = Scene;

    async fn run(&self, scene: &Scene, _: &Attempt) -> JobResult {
        scene.seen.lock().unwrap().passes += 1;
        scene.passed.notify_one();
        Ok(Outcome::Done)
    }
}

/// A worker on this world's database that runs so many jobs at once.
pub(super) async fn worker(world: &World, scene: &Scene, concurrency: usize) -> Running {
    let registry = Registry::new().add::<Load>().add::<Pass>();
    Worker::builder(world.pool.clone(), registry, scene.clone())
        .pools(vec![Pool {
            name: "load".into(),
            queues: vec!["load".into()],
            concurrency,
        }])
        .start()
        .await
        .unwrap()
}
