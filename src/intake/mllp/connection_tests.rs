//! Tests of one connection over an in-memory pipe: order, time, stopping, refusals.

use std::sync::Mutex;

use tokio::io::DuplexStream;
use tokio_util::task::TaskTracker;

use super::*;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(40);

fn limits() -> MllpLimits {
    MllpLimits {
        frame: 200_000,
        junk: 16,
        frame_timeout: LONG,
        idle_timeout: LONG,
        handshake_timeout: LONG,
        write_timeout: LONG,
        connections_per_peer: 1,
        connections: 1,
    }
}

/// What a connection gave: the frames it handled and how it ended.
struct Ended {
    frames: Vec<Vec<u8>>,
    ending: Ending,
    junk_bytes: u64,
}

/// A connection that echoes frames, with its peer's side.
struct Bench {
    peer: DuplexStream,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Ended>,
}

fn begin(limits: MllpLimits) -> Bench {
    begin_with(limits, 4096, |frame| {
        std::future::ready(Reply {
            answers: vec![Answer::for_test(&frame)],
            then: Then::GoOn,
        })
    })
}

fn begin_with<H, F>(limits: MllpLimits, pipe: usize, handle: H) -> Bench
where
    H: Fn(Bytes) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send,
{
    let (peer, stream) = tokio::io::duplex(pipe);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = TaskTracker::new().spawn(async move {
        let (counters, large) = (Counters::default(), Semaphore::new(1));
        let frames = Mutex::new(Vec::new());
        let terms = Terms {
            limits: &limits,
            counters: &counters,
            large: &large,
            stop: &stopped,
            replies: None,
        };
        let (ending, stream) = converse(stream, terms, |frame: Bytes| {
            frames.lock().unwrap().push(frame.to_vec());
            handle(frame)
        })
        .await;
        if ending != Ending::AnswersNotRead {
            part(stream).await;
        }
        assert_eq!(large.available_permits(), 1, "no permit is kept");
        let junk_bytes = counters.junk_bytes.get();
        Ended {
            frames: frames.into_inner().unwrap(),
            ending,
            junk_bytes,
        }
    });
    Bench { peer, stop, task }
}

impl Bench {
    async fn send(&mut self, bytes: &[u8]) {
        self.peer.write_all(bytes).await.unwrap();
    }

    /// Reads exactly what is expected.
    async fn expect(&mut self, expected: &[u8]) {
        let mut found = vec![0; expected.len()];
        self.peer.read_exact(&mut found).await.unwrap();
        assert_eq!(found, expected);
    }

    async fn end(self) -> Ended {
        drop(self.peer);
        self.task.await.unwrap()
    }

    /// Waits for the connection to end by itself, and returns what the peer reads until then.
    async fn ends(mut self) -> (Vec<u8>, Ended) {
        let mut rest = Vec::new();
        self.peer.read_to_end(&mut rest).await.unwrap();
        drop(self.peer);
        (rest, self.task.await.unwrap())
    }
}

#[tokio::test]
async fn pipelined_frames_are_answered_in_order() {
    let mut bench = begin(limits());
    bench
        .send(b"\x0bone\x1c\r\x0btwo\x1c\x0bthree\x1c\r\n")
        .await;
    bench
        .expect(b"\x0bone\x1c\r\x0btwo\x1c\r\x0bthree\x1c\r")
        .await;
    let ended = bench.end().await;
    assert_eq!(ended.frames, [&b"one"[..], b"two", b"three"]);
    assert_eq!(ended.ending, Ending::PeerClosed);
}

#[tokio::test]
async fn a_connection_that_waits_holds_next_to_nothing() {
    let (counters, large, stop) = (
        Counters::default(),
        Semaphore::new(1),
        CancellationToken::new(),
    );
    let (limits, (mut peer, stream)) = (limits(), tokio::io::duplex(64 * 1024));
    let terms = Terms {
        limits: &limits,
        counters: &counters,
        large: &large,
        stop: &stop,
        replies: None,
    };
    let mut connection = Connection::new(stream, terms);
    let handle = |_frame| {
        let room = [0_u8; 32 * 1024];
        async move {
            tokio::task::yield_now().await;
            Reply {
                answers: vec![Answer::for_test(&room[..1])],
                then: Then::GoOn,
            }
        }
    };
    let conversation = async {
        let message = vec![b'x'; 30_000];
        let mut frame = BytesMut::new();
        put_frame(&message, &mut frame);
        peer.write_all(&frame).await.unwrap();
        let mut answer = [0; 4];
        peer.read_exact(&mut answer).await.unwrap();
    };
    {
        let running = connection.run(handle);
        assert!(size_of_val(&running) <= 1024, "{}", size_of_val(&running));
        tokio::select! {
            ending = running => panic!("ended: {ending:?}"),
            () = conversation => {}
        }
    }
    assert!(connection.buffer.capacity() <= 64);
}

#[tokio::test]
async fn the_next_frame_waits_until_the_one_before_is_answered() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let mut bench = begin_with(limits(), 4096, move |frame| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Reply {
                answers: vec![Answer::for_test(&frame)],
                then: Then::GoOn,
            }
        }
    });
    bench.send(b"\x0bone\x1c\r\x0btwo\x1c\r").await;
    // Stopping now: the frame being handled is finished and answered, the pipelined one is not.
    bench.stop.cancel();
    release.send(true).unwrap();
    let (answers, ended) = bench.ends().await;
    let handled = ended.frames.len();
    assert!(handled <= 1, "at most the first frame was being handled");
    assert_eq!(answers, b"\x0bone\x1c\r".repeat(handled));
    assert_eq!(ended.ending, Ending::Stopped);
}

#[tokio::test]
async fn stopping_lets_a_frame_that_has_begun_arrive() {
    let mut bench = begin(limits());
    bench.send(b"\x0bzero\x1c\r\x0bha").await;
    bench.expect(b"\x0bzero\x1c\r").await;
    // The answer to `zero` says nothing about `ha`: one more exchange proves that it was read.
    bench.send(b"lf\x1c\r\x0bhal").await;
    bench.expect(b"\x0bhalf\x1c\r").await;
    bench.send(b"f").await;
    tokio::task::yield_now().await;
    bench.stop.cancel();
    bench.send(b"\x1c\r").await;
    let (answers, ended) = bench.ends().await;
    assert_eq!(ended.ending, Ending::Stopped);
    assert_eq!(answers, b"\x0bhalf\x1c\r".repeat(ended.frames.len() - 2));
}

#[tokio::test]
async fn a_frame_over_the_bound_ends_the_connection() {
    let mut bench = begin(MllpLimits {
        frame: 4,
        ..limits()
    });
    bench.send(b"\x0bfour\x1c\r\x0bfive5").await;
    let (answers, ended) = bench.ends().await;
    assert_eq!(answers, b"\x0bfour\x1c\r");
    assert_eq!(ended.ending, Ending::Refused(Refusal::TooLarge));
}

#[tokio::test]
async fn junk_is_counted_and_beyond_the_bound_refused() {
    let mut bench = begin(limits());
    bench.send(b"junk\x0bone\x1c\r").await;
    bench.expect(b"\x0bone\x1c\r").await;
    bench.send(b"seventeen bytes..").await;
    let (_, ended) = bench.ends().await;
    assert_eq!(ended.ending, Ending::Refused(Refusal::Junk));
    assert_eq!(ended.junk_bytes, 21);
}

#[tokio::test]
async fn a_message_without_a_start_block_is_not_lost_in_silence() {
    let mut bench = begin(limits());
    bench.send(b"MSH|^~\\&|\x1c\r").await;
    assert_eq!(bench.end().await.ending, Ending::Refused(Refusal::Junk));
}

#[tokio::test]
async fn an_end_inside_a_frame_is_refused() {
    let mut bench = begin(limits());
    bench.send(b"\x0bMSH|").await;
    assert_eq!(
        bench.end().await.ending,
        Ending::Refused(Refusal::Truncated)
    );
}

#[tokio::test]
async fn a_frame_that_takes_too_long_is_refused() {
    let mut bench = begin(MllpLimits {
        frame_timeout: SHORT,
        ..limits()
    });
    bench.send(b"\x0bMSH|").await;
    let (_, ended) = bench.ends().await;
    assert_eq!(ended.ending, Ending::Refused(Refusal::FrameTimeout));
}

#[tokio::test]
async fn a_silent_peer_is_closed_and_not_refused() {
    let mut bench = begin(MllpLimits {
        idle_timeout: SHORT,
        ..limits()
    });
    bench.send(b"\x0bone\x1c\r\n").await;
    bench.expect(b"\x0bone\x1c\r").await;
    let (_, ended) = bench.ends().await;
    assert_eq!(ended.ending, Ending::Idle);
}

#[tokio::test]
async fn a_peer_that_reads_no_answers_is_closed() {
    let limits = MllpLimits {
        write_timeout: SHORT,
        ..limits()
    };
    let answers = |_| {
        let answers = vec![Answer::for_test(&[b'a'; 500])];
        std::future::ready(Reply {
            answers,
            then: Then::GoOn,
        })
    };
    let mut bench = begin_with(limits, 64, answers);
    bench.send(b"\x0bone\x1c\r").await;
    let ended = bench.task.await.unwrap();
    assert_eq!(ended.ending, Ending::AnswersNotRead);
    assert_eq!(ended.frames.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_answered_closes_the_connection() {
    let silent = |_| {
        std::future::ready(Reply {
            answers: Vec::new(),
            then: Then::Close,
        })
    };
    let mut bench = begin_with(limits(), 4096, silent);
    bench.send(b"\x0bone\x1c\r\x0btwo\x1c\r").await;
    let (answers, ended) = bench.ends().await;
    assert_eq!((answers.len(), ended.frames.len()), (0, 1));
    assert_eq!(ended.ending, Ending::Unanswerable);
}

#[tokio::test]
async fn large_frames_come_whole_and_give_their_room_back() {
    let mut bench = begin(limits());
    let mut frame = BytesMut::new();
    put_frame(&vec![b'x'; 150_000], &mut frame);
    for _ in 0..2 {
        let (mut reading, mut writing) = tokio::io::split(&mut bench.peer);
        let mut answer = vec![0; frame.len()];
        let (sent, read) = tokio::join!(writing.write_all(&frame), reading.read_exact(&mut answer));
        sent.unwrap();
        read.unwrap();
        assert_eq!(answer, frame);
    }
    assert_eq!(bench.end().await.frames.len(), 2);
}
