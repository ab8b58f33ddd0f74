//! The glue that an engineer writes in an afternoon, as a yardstick in the same run: MLLP over tokio,
//! a full parse, one INSERT a message, then perhaps one confirmed publish, then the answer. It
//! has no duplicates, no encryption, no consent, no rules; a crash between insert and publish loses a task.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::BytesMut;
use careloop::intake::mllp::frame::{END, START, put_frame};
use lapin::Confirmation;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::queue::Queue;

/// A receiver that runs until it is dropped.
pub(crate) struct Glue {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    accepting: AbortHandle,
}

impl Drop for Glue {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Desk {
    pool: PgPool,
    queue: Option<Queue>,
}

/// Starts a receiver that stores, and publishes where it has a broker.
pub(crate) async fn start(postgres: &str, amqp: Option<&str>) -> anyhow::Result<Glue> {
    let pool = PgPoolOptions::new()
        .max_connections(16)
        .connect(postgres)
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS glue (id uuid PRIMARY KEY, control_id text NOT NULL, patient text NOT NULL, body bytea NOT NULL)")
        .execute(&pool)
        .await?;
    let queue = match amqp {
        Some(amqp) => Some(Queue::declare(amqp, "glue").await?),
        None => None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let desk = Arc::new(Desk { pool, queue });
    let accepting = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                if let Err(error) = desk.serve(socket).await {
                    eprintln!("glue: {error:#}");
                }
            });
        }
    });
    Ok(Glue {
        address,
        accepting: accepting.abort_handle(),
    })
}

impl Desk {
    async fn serve(&self, mut socket: TcpStream) -> anyhow::Result<()> {
        socket.set_nodelay(true)?;
        let (mut read, mut out) = (BytesMut::new(), BytesMut::new());
        loop {
            while !read.ends_with(&[END, b'\r']) {
                if socket.read_buf(&mut read).await? == 0 {
                    return Ok(());
                }
            }
            let frame = read.split();
            let body = frame.strip_prefix(&[START]).context("a frame")?;
            let body = body.strip_suffix(&[END, b'\r']).context("a frame")?;
            let answer = self.keep(body).await?;
            out.clear();
            put_frame(answer.as_bytes(), &mut out);
            socket.write_all(&out).await?;
        }
    }

    async fn keep(&self, body: &[u8]) -> anyhow::Result<String> {
        let text = std::str::from_utf8(body)?;
        let message = hl7_parser::Message::parse(text)?;
        let value = |path: &str| {
            message
                .query(path)
                .map(|found| found.raw_value().to_owned())
        };
        let id = value("MSH.10").context("MSH-10")?;
        let patient = value("PID.3").context("PID-3")?;
        sqlx::query("INSERT INTO glue VALUES ($1, $2, $3, $4)")
            .bind(Uuid::now_v7())
            .bind(&id)
            .bind(patient)
            .bind(body)
            .execute(&self.pool)
            .await?;
        if let Some(queue) = &self.queue {
            let json = serde_json::to_vec(&serde_json::json!({ "id": id, "raw": text }))?;
            let confirm = queue.publish(&json).await?;
            ensure!(confirm.await? == Confirmation::Ack(None), "not confirmed");
        }
        Ok(format!(
            "MSH|^~\\&|HUB|RVS|EHR|RVS|||ACK|{id}|P|2.5.1\rMSA|AA|{id}\r"
        ))
    }
}
