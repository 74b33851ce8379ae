//! Threads that do nothing but answer.
//!
//! Where one process also ingests and applies (`kvatlas standalone`), a flood of
//! events gives a shared runtime's threads more work than they can do, and a
//! question would wait for its turn behind all of it. On threads of their own,
//! answers are the system's to schedule: whoever has slept most goes first.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};

/// How much less of a busy core a thread gets that does not answer: about a third
/// of what one that answers gets.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// The nice value of who goes last.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;

/// Has the calling thread give way to those that answer, while there is more work
/// than cores. Meant for the threads that ingest and apply, as they start: they take
/// all that is left, and a question need not wait for its turn behind them. Linux
/// only; elsewhere, and where it is refused, threads stay as they are.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        // Of Linux's processes, each thread is one here.
        let this = Some(rustix::thread::gettid());
        let lower = |own: i32| setpriority_process(this, (own + NICE).min(LOWEST));
        if let Err(error) = getpriority_process(this).and_then(lower) {
            tracing::debug!(%error, "threads that apply compete with those that answer");
        }
    }
}

/// A runtime of its own for what answers.
#[derive(Debug)]
pub struct Answering(Option<Runtime>);

impl Answering {
    /// As many threads as there are cores.
    pub fn new() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.thread_name("answering").enable_all();
        builder.build().map(|runtime| Self(Some(runtime)))
    }

    /// Runs the work there, until it ends or nobody waits for it any more.
    /// A panic of the work is passed on.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let Some(runtime) = &self.0 else {
            return work.await;
        };
        let mut task = Aborting(runtime.spawn(work));
        match (&mut task.0).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only the runtime's end cancels it, and that is this value's.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // A runtime must not wait for its threads inside another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ends its task with itself.
struct Aborting<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn answers_come_while_the_callers_own_threads_are_busy() {
        let answering = Answering::new().unwrap();
        let (asked, question) = tokio::sync::oneshot::channel::<u32>();
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let work = async move {
            let number = question.await.unwrap();
            answer.send(number + 1).unwrap();
        };
        let running = answering.run(work);
        let busy = async {
            // Let the work begin.
            tokio::task::yield_now().await;
            asked.send(41).unwrap();
            // This runtime's only thread waits here and polls nothing.
            answered.recv_timeout(Duration::from_secs(60))
        };
        let ((), answer) = tokio::join!(running, busy);
        assert_eq!(answer, Ok(42));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_gives_way_leaves_others_as_they_are() {
        let nice = || {
            let this = rustix::thread::gettid();
            rustix::process::getpriority_process(Some(this)).unwrap()
        };
        let before = nice();
        let there = std::thread::spawn(move || {
            give_way();
            nice()
        });
        assert_eq!(there.join().unwrap(), (before + NICE).min(LOWEST));
        assert_eq!(nice(), before);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let answering = Answering::new().unwrap();
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        {
            let running = answering.run(work);
            tokio::pin!(running);
            assert!(futures::poll!(&mut running).is_pending());
        }
        let ended = tokio::time::timeout(Duration::from_secs(60), gone).await;
        assert!(matches!(ended, Ok(Err(_))), "{ended:?}");
    }
}
