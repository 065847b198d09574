//! Accepting connections: bounded, and not ended by a shortage of file descriptors.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::lifecycle::{Stage, reached};
use super::metrics::Metrics;

/// First wait after a failed accept; it doubles up to [`LONGEST_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// Accepts connections until [`Stage::Stopping`], and hands each to `serve` in a task of its own. `open`
/// bounds them: without a permit the next one waits in the kernel's queue. Each task holds its permit to
/// its end, so that whoever gets all permits knows that all connections are done.
pub(super) async fn accept<S, F>(
    listener: TcpListener,
    open: Arc<Semaphore>,
    mut stages: watch::Receiver<Stage>,
    metrics: &Metrics,
    serve: S,
) where
    S: Fn(TcpStream, watch::Receiver<Stage>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let spawn = |stream: TcpStream, permit: OwnedSemaphorePermit, stages| {
        // An answer is written at once and whole; waiting to merge it with more would only delay it. A
        // socket that refuses the option is broken, which its first read will show.
        let _ = stream.set_nodelay(true);
        let connection = serve(stream, stages);
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    };
    let told = stages.clone();
    loop {
        let accepted = async {
            let permit = Arc::clone(&open).acquire_owned().await.ok()?;
            Some((next_connection(|| listener.accept(), metrics).await, permit))
        };
        let accepted = tokio::select! {
            biased;
            () = reached(&mut stages, Stage::Stopping) => None,
            accepted = accepted => accepted,
        };
        let Some(((stream, _), permit)) = accepted else {
            break;
        };
        spawn(stream, permit, told.clone());
    }
    for (stream, permit) in queued(listener, &open) {
        spawn(stream, permit, told.clone());
    }
}

/// The connections that the kernel has established but nobody has accepted. Closing the listener would
/// reset them, though their clients may have sent a request already.
fn queued(
    listener: TcpListener,
    open: &Arc<Semaphore>,
) -> impl Iterator<Item = (TcpStream, OwnedSemaphorePermit)> {
    let listener = listener.into_std().ok();
    std::iter::from_fn(move || {
        let permit = Arc::clone(open).try_acquire_owned().ok()?;
        let (stream, _) = listener.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, permit))
    })
}

/// The next connection. A shortage (file descriptors, memory) is waited out: it ends when connections do.
async fn next_connection<T, A, F>(mut accept: A, metrics: &Metrics) -> T
where
    A: FnMut() -> F,
    F: Future<Output = io::Result<T>>,
{
    let mut backoff = FIRST_BACKOFF;
    loop {
        let error = match accept().await {
            Ok(connection) => return connection,
            Err(error) => error,
        };
        if concerns_one_connection(&error) {
            continue;
        }
        metrics.accept_failed();
        if backoff == FIRST_BACKOFF {
            tracing::warn!(%error, "cannot accept connections; trying on");
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// Errors of the connection that was about to be accepted, not of the listener (accept(2) passes on
/// pending network errors of the new socket).
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::ready;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_shortage_is_waited_out_and_an_aborted_connection_is_not() {
        const EMFILE: i32 = 24;
        let mut results: VecDeque<io::Result<&str>> = (0..9)
            .map(|_| Err(io::Error::from_raw_os_error(EMFILE)))
            .chain([Err(ErrorKind::ConnectionAborted.into()), Ok("connection")])
            .collect();
        let metrics = Metrics::new();
        let started = Instant::now();
        let accept = || ready(results.pop_front().expect("no accept after the first success"));
        assert_eq!(next_connection(accept, &metrics).await, "connection");
        // 10 + 20 + 40 + ... + 640 ms, then twice the longest.
        let waited = Duration::from_millis(1270) + 2 * LONGEST_BACKOFF;
        assert_eq!(started.elapsed().as_millis(), waited.as_millis());
        let text = metrics.encode().expect("encodes");
        assert!(text.contains("wavegate_accept_errors_total 9\n"), "{text}");
    }

    #[tokio::test]
    async fn what_the_kernel_has_accepted_is_served_when_the_server_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let clients: Vec<_> = (0..3)
            .map(|_| std::net::TcpStream::connect(address).expect("a place in the queue"))
            .collect();
        let (_stage, stages) = watch::channel(Stage::Stopping);
        let (served, mut each) = tokio::sync::mpsc::unbounded_channel();
        accept(listener, Arc::new(Semaphore::new(2)), stages, &Metrics::new(), |stream, _| {
            served.send(stream.peer_addr().ok()).expect("the test still listens");
            std::future::pending()
        })
        .await;
        for client in &clients[..2] {
            assert_eq!(each.recv().await, Some(client.local_addr().ok()));
        }
        assert!(each.try_recv().is_err(), "the bound holds here too");
    }
}
