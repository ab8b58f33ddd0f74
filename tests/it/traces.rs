//! What a collector is told: one trace from a frame to the broker's confirm, and nothing of a person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::broker;
use crate::support::clinic::QUEUE;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::peer::lines;
use crate::support::serving::Serving;
use crate::support::wait::until;

/// A person whose task leaves.
const ADA: &str = r"
    MSH|^~\&|EPIC|RVS|CARELOOP|HUB|20261121120000||ADT^A08|CANARY-ID|P|2.5.1
    EVN||20261121120000
    PID|1||TEST-4711^^^RVS^MR||Zzyzxample^Ada||19700102|F|||1 Canary Street^^Albany^NY^12207^US||(518)555-0199^PRN^PH
    DG1|1||E11.9^Type 2 diabetes^I10C|||F
";
const CANARIES: [&str; 7] = [
    "Zzyzxample",
    "TEST-4711",
    "CANARY-ID",
    "Canary Street",
    "555-0199",
    "5550199",
    "E11.9",
];

/// A request as it came: its path, its headers, its body.
type Request = (String, String, Vec<u8>);

/// An OTLP receiver over HTTP.
#[derive(Clone)]
struct Collector {
    address: std::net::SocketAddr,
    came: Arc<Mutex<Vec<Request>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            address: listener.local_addr().unwrap(),
            came: Arc::default(),
        };
        let came = Arc::clone(&collector.came);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&came)));
            }
        });
        collector
    }

    fn spans(&self) -> Vec<Span> {
        let came = self.came.lock().unwrap();
        let traces = came.iter().filter(|(path, ..)| path == "/v1/traces");
        traces
            .flat_map(|(_, _, body)| {
                ExportTraceServiceRequest::decode(body.as_slice())
                    .unwrap()
                    .resource_spans
            })
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    fn metrics(&self) -> BTreeSet<String> {
        let came = self.came.lock().unwrap();
        let metrics = came.iter().filter(|(path, ..)| path == "/v1/metrics");
        metrics
            .flat_map(|(_, _, body)| {
                ExportMetricsServiceRequest::decode(body.as_slice())
                    .unwrap()
                    .resource_metrics
            })
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .map(|metric| metric.name)
            .collect()
    }
}

async fn serve(stream: TcpStream, came: Arc<Mutex<Vec<Request>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
        stream.read_line(&mut line).await?;
        let Some(path) = line.split(' ').nth(1).map(ToOwned::to_owned) else {
            return Ok(());
        };
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await?;
            if header.trim().is_empty() {
                break;
            }
            let header = header.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&header);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        came.lock().unwrap().push((path, head, body));
        let answer =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
        stream.get_mut().write_all(answer).await?;
    }
}

fn setup(collector: &Collector, folder: &std::path::Path, share: &str) -> Setup {
    let path = folder.join("headers");
    std::fs::write(&path, "x-token=not-for-logs\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).unwrap();
    let more = format!(
        "[telemetry]\notlp = \"http://{}\"\nheaders = \"file:{}\"\nshare = {share}\ninterval = \"1s\"\n\
         attributes = {{ \"deployment.environment.name\" = \"trial\" }}\n",
        collector.address,
        path.display()
    );
    Setup {
        more,
        ..Setup::default()
    }
}

on_each_store! {
    async fn one_trace_goes_from_frame_to_confirm_and_holds_nothing_of_a_person(database) {
        let collector = Collector::start().await;
        let setup = setup(&collector, database.folder.path(), "1.0");
        let hub = Hub::start(database, setup).await;
        assert_eq!(hub.peer("adt").await.send(ADA).await.code, "AA");
        assert_eq!(hub.settled().await.len(), 1);
        let envelope = hub.spooled().remove(0);
        until("metrics are told", || async {
            collector.metrics().contains("careloop_messages_processed").then_some(())
        })
        .await;
        // What is left is sent when the hub stops.
        hub.daemon.stop().await;
        let spans: BTreeMap<String, Span> =
            collector.spans().into_iter().map(|span| (span.name.clone(), span)).collect();
        let names: Vec<&str> = spans.keys().map(String::as_str).collect();
        assert_eq!(names, ["confirm", "process", "publish", "queue", "receive"]);
        let receive = &spans["receive"];
        assert!(receive.parent_span_id.is_empty());
        for span in spans.values() {
            assert_eq!(span.trace_id, receive.trace_id, "{}", span.name);
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{}", span.name);
        }
        assert_eq!(spans["process"].parent_span_id, receive.span_id);
        assert_eq!(spans["queue"].parent_span_id, receive.span_id);
        assert_eq!(spans["publish"].parent_span_id, spans["queue"].span_id);
        assert_eq!(spans["confirm"].parent_span_id, spans["queue"].span_id);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let context = format!("00-{}-{}-01", hex(&receive.trace_id), hex(&spans["queue"].span_id));
        assert_eq!(envelope["traceparent"], context.as_str());
        let came = collector.came.lock().unwrap();
        for (path, head, body) in came.iter() {
            assert!(head.contains("x-token: not-for-logs"), "{path}");
            for canary in CANARIES {
                let found = body.windows(canary.len()).any(|window| window == canary.as_bytes());
                assert!(!found, "{canary} in {path}");
            }
        }
        assert!(came.iter().any(|(.., body)| body.windows(5).any(|window| window == b"trial")));
    }
}

on_each_store! {
    async fn the_confirm_that_ends_a_trace_is_the_brokers(database) {
        let Some(broker) = broker::share().await else { return };
        let collector = Collector::start().await;
        let setup = setup(&collector, database.folder.path(), "1.0");
        let hub = Hub::start(database, Setup { broker: Some(broker.url()), ..setup }).await;
        assert_eq!(hub.peer("adt").await.send(ADA).await.code, "AA");
        let taken = broker.take(QUEUE, 1).await;
        let envelope: serde_json::Value = serde_json::from_slice(&taken[0].delivery.data).unwrap();
        hub.settled().await;
        hub.daemon.stop().await;
        let spans: BTreeMap<String, Span> =
            collector.spans().into_iter().map(|span| (span.name.clone(), span)).collect();
        let (receive, queue, confirm) = (&spans["receive"], &spans["queue"], &spans["confirm"]);
        assert_eq!((&confirm.trace_id, &confirm.parent_span_id), (&receive.trace_id, &queue.span_id));
        let trace: String = receive.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(envelope["traceparent"].as_str().unwrap().contains(&trace), "{envelope}");
    }
}

on_each_store! {
    async fn a_collector_that_is_away_and_a_share_of_nothing_change_nothing(database) {
        let collector = Collector::start().await;
        let setup = setup(&collector, database.folder.path(), "0.0");
        let hub = Hub::start(database, setup).await;
        assert_eq!(hub.peer("adt").await.send(ADA).await.code, "AA");
        hub.settled().await;
        let traced = hub.spooled().remove(0)["traceparent"].as_str().unwrap().to_owned();
        assert!(traced.ends_with("-00"), "{traced}");
        let away = Collector { address: ([127, 0, 0, 1], 9).into(), ..collector.clone() };
        let again = self::setup(&away, &hub.folder(), "1.0");
        let hub = hub.restart_as(again).await;
        assert_eq!(hub.peer("adt").await.send(&ADA.replace("CANARY-ID", "NEXT")).await.code, "AA");
        assert_eq!(hub.processed().await.processed, 2);
        hub.daemon.stop().await;
        assert!(collector.spans().is_empty());
    }
}

on_each_store! {
    async fn a_log_line_about_a_message_names_its_trace(database) {
        let hub = Serving::start(database, &Setup::default(), "info").await;
        let mut peer = hub.peer().await;
        for other in [ADA.to_owned(), ADA.replace("Canary Street", "Other Street")] {
            peer.send_bytes(lines(&other).as_bytes()).await;
        }
        let list = hub.told(&["message", "list", "--json"]);
        let rows = list.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let reused: Vec<String> = rows
            .filter(|row| row["control_id_reused"] == true)
            .map(|row| row["id"].as_str().unwrap().replace('-', ""))
            .collect();
        let [trace] = reused.as_slice() else { panic!("one message reuses a number") };
        let log = hub.log();
        let line = log.lines().find(|line| line.contains("a control id came again")).unwrap();
        assert!(line.contains(&format!("trace_id={trace}")), "{line}");
    }
}
