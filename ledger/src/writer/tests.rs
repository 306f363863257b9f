use std::sync::mpsc;

use rusqlite::Connection;

use std::sync::Arc;

use super::*;
use crate::engine::params;
use crate::engine::sqlite::Sqlite;

/// A writer over a blank table, with foreign keys that are checked at commit.
fn writer() -> Writer {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE numbers (number INTEGER PRIMARY KEY);
             CREATE TABLE notes (number INTEGER REFERENCES numbers (number) DEFERRABLE INITIALLY DEFERRED);",
        )
        .unwrap();
    Writer::start(Tx::Sqlite(Sqlite::of(connection)), Arc::new(Book::new(1)), None).unwrap()
}

fn insert(tx: &Tx, number: i64) -> Result<(), LedgerError> {
    tx.execute("INSERT INTO numbers VALUES (?1)", params![number])?;
    Ok(())
}

async fn numbers(writer: &Writer) -> Vec<i64> {
    writer
        .write("numbers", |tx| {
            Ok(tx.all("SELECT number FROM numbers ORDER BY number", &[], |row| row.get(0))?)
        })
        .await
        .unwrap()
}

/// Blocks the writer until the returned sender is dropped, so that what follows is one group.
async fn hold(writer: &Arc<Writer>) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = oneshot::channel();
    let mut started = Some(started);
    let holder = Arc::clone(writer);
    tokio::spawn(async move {
        holder
            .write("hold", move |_| {
                started.take().unwrap().send(()).unwrap();
                let _ = held.recv();
                Ok(())
            })
            .await
    });
    running.await.unwrap();
    release
}

type AnyJob = Box<dyn FnMut(&Tx) -> Result<(), LedgerError> + Send>;

/// Runs `jobs` as one group, in order.
async fn group(writer: &Arc<Writer>, jobs: Vec<AnyJob>) -> Vec<Result<(), LedgerError>> {
    let release = hold(writer).await;
    let mut tasks = Vec::new();
    for (index, job) in jobs.into_iter().enumerate() {
        let of_task = Arc::clone(writer);
        tasks.push(tokio::spawn(async move { of_task.write("job", job).await }));
        while writer.queue.as_ref().unwrap().max_capacity() - writer.queue.as_ref().unwrap().capacity()
            <= index
        {
            tokio::task::yield_now().await;
        }
    }
    drop(release);
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn failed_job_takes_back_only_its_own_changes() {
    let writer = Arc::new(writer());
    let outcomes = group(
        &writer,
        vec![
            Box::new(|tx| insert(tx, 1)),
            Box::new(|tx| {
                insert(tx, 2)?;
                insert(tx, 1)
            }),
            Box::new(|tx| insert(tx, 3)),
        ],
    )
    .await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert!(outcomes[1].as_ref().unwrap_err().to_string().starts_with("job: UNIQUE"), "{:?}", outcomes[1]);
    assert_eq!(numbers(&writer).await, [1, 3]);
    assert_eq!(*writer.commits().borrow(), 1);
}

#[tokio::test]
async fn panicking_job_changes_nothing_and_the_writer_lives_on() {
    let writer = Arc::new(writer());
    let outcomes = group(
        &writer,
        vec![
            Box::new(|tx| {
                insert(tx, 1)?;
                panic!("job panics on purpose")
            }),
            Box::new(|tx| insert(tx, 2)),
        ],
    )
    .await;
    assert!(matches!(outcomes[0], Err(LedgerError::Panicked { operation: "job" })));
    assert!(outcomes[1].is_ok());
    assert_eq!(numbers(&writer).await, [2]);
}

#[tokio::test]
async fn failed_commit_fails_every_job_of_its_group() {
    let writer = Arc::new(writer());
    let outcomes = group(
        &writer,
        vec![
            Box::new(|tx| insert(tx, 1)),
            // Refers to nothing, which only the commit finds out.
            Box::new(|tx| Ok(tx.execute("INSERT INTO notes VALUES (99)", &[]).map(|_| ())?)),
            Box::new(|tx| insert(tx, 3)),
        ],
    )
    .await;
    for outcome in &outcomes {
        assert!(outcome.as_ref().unwrap_err().to_string().contains("FOREIGN KEY"), "{outcome:?}");
    }
    assert!(numbers(&writer).await.is_empty());
    assert_eq!(*writer.commits().borrow(), 0);
    writer.write("after", |tx| insert(tx, 4)).await.unwrap();
    assert_eq!(numbers(&writer).await, [4]);
}

#[tokio::test]
async fn lost_transaction_fails_what_was_in_it_and_runs_the_rest_in_another() {
    let writer = Arc::new(writer());
    let outcomes = group(
        &writer,
        vec![
            Box::new(|tx| insert(tx, 1)),
            // What SQLite does by itself when the disk is full.
            Box::new(|tx| Ok(tx.execute("ROLLBACK", &[]).map(drop)?)),
            Box::new(|tx| insert(tx, 3)),
        ],
    )
    .await;
    assert!(outcomes[0].is_err() && outcomes[1].is_err(), "{outcomes:?}");
    assert!(outcomes[2].is_ok(), "{outcomes:?}");
    assert_eq!(numbers(&writer).await, [3]);
}

#[tokio::test]
async fn queued_jobs_are_done_before_the_writer_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("numbers.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE numbers (number INTEGER PRIMARY KEY)").unwrap();
    let writer = Writer::start(Tx::Sqlite(Sqlite::of(connection)), Arc::new(Book::new(1)), None).unwrap();
    let queue = writer.queue.clone().unwrap();
    let mut answers = Vec::new();
    for number in 0..100 {
        let (reply, answer) = oneshot::channel();
        let work = move |tx: &Tx| insert(tx, number);
        let job = Box::new(Work { name: "insert", work, needs_rows: true, outcome: None, reply });
        assert!(queue.try_send(Entry::Job(job)).is_ok());
        answers.push(answer);
    }
    drop(queue);

    drop(writer);

    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let count: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 100);
}
