//! The glue that an engineer writes in an afternoon, as a yardstick in the same run: MLLP over tokio,
//! a full parse, one INSERT a message, then perhaps one confirmed publish, then the answer. It
//! has no duplicates, no encryption, no consent, no rules; a crash between insert and publish loses a task.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::BytesMut;
use careloop::intake::mllp::frame::{END, START, put_frame};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use uuid::Uuid;

const QUEUE: &str = "glue";

/// A receiver that runs until it is dropped.
pub(crate) struct Glue {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    accepting: AbortHandle,
    _broker: Option<Connection>,
}

impl Drop for Glue {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Desk {
    pool: PgPool,
    channel: Option<Channel>,
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
    let (mut broker, mut channel) = (None, None);
    if let Some(amqp) = amqp {
        let connection = Connection::connect(amqp, ConnectionProperties::default()).await?;
        let opened = connection.create_channel().await?;
        opened
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        opened
            .queue_declare(QUEUE.into(), options, arguments)
            .await?;
        (broker, channel) = (Some(connection), Some(opened));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let desk = Arc::new(Desk { pool, channel });
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
        _broker: broker,
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
        if let Some(channel) = &self.channel {
            let json = serde_json::to_vec(&serde_json::json!({ "id": id, "raw": text }))?;
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default().with_delivery_mode(2);
            let confirm = channel
                .basic_publish("".into(), QUEUE.into(), options, &json, properties)
                .await?;
            ensure!(confirm.await? == Confirmation::Ack(None), "not confirmed");
        }
        Ok(format!(
            "MSH|^~\\&|HUB|RVS|EHR|RVS|||ACK|{id}|P|2.5.1\rMSA|AA|{id}\r"
        ))
    }
}
