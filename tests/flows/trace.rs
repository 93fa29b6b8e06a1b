//! A trace goes from the request to the worker that runs what the request left to do.

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Id, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::harness::World;
use crate::intake::{capture, jane};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Remembers of which job and trace each span of a worker was.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<(String, String)>>>);

#[derive(Default)]
struct Fields {
    job: String,
    trace: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "job.name" => value.clone_into(&mut self.job),
            "trace" => value.clone_into(&mut self.trace),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if span.metadata().name() == "job" {
            let mut fields = Fields::default();
            span.record(&mut fields);
            self.0.lock().unwrap().push((fields.job, fields.trace));
        }
    }
}

/// The traces of the jobs that wait.
async fn traces(world: &World) -> Vec<Option<String>> {
    let traces = sqlx::query_scalar("SELECT trace FROM queue.job ORDER BY id");
    traces.fetch_all(&world.pool).await.unwrap()
}

#[tokio::test]
async fn what_a_request_leaves_to_do_belongs_to_its_trace() {
    let world = World::new().await;
    let org = world.org().await;
    let mut request = capture(&jane(org));
    let headers = request.headers_mut();
    headers.insert("traceparent", PARENT.parse().unwrap());
    assert_eq!(world.send(request).await.status(), 200);
    assert_eq!(traces(&world).await, [Some(PARENT.to_owned())]);

    let spans = Spans::default();
    let logged = tracing_subscriber::registry().with(spans.clone());
    let here = tracing::subscriber::set_default(logged);
    world.work().await;
    drop(here);

    let spans = spans.0.lock().unwrap();
    let jobs: Vec<_> = spans.iter().map(|(job, _)| &**job).collect();
    assert!(
        jobs.contains(&"process_intake") && jobs.contains(&"score_lead"),
        "{jobs:?}"
    );
    assert!(spans.iter().all(|(_, trace)| trace == PARENT), "{spans:?}");
}

#[tokio::test]
async fn a_request_that_is_part_of_no_trace_begins_one() {
    let world = World::new().await;
    let org = world.org().await;
    assert_eq!(world.send(capture(&jane(org))).await.status(), 200);
    let traces = traces(&world).await;
    let trace = traces[0].as_deref().unwrap();
    assert!(
        trace.starts_with("00-") && trace.len() == PARENT.len(),
        "{trace}"
    );
    world.leave_jobs();
}
