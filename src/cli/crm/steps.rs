//! The steps of a check, in the order in which a CRM takes them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::super::context::Desk;
use super::super::http::{Answer, Server};
use super::CheckArgs;
use crate::access::{TEST_FAMILY, TEST_PURPOSE};
use crate::care::{TaskCode, TopicKind};
use crate::clock;
use crate::config::{ClientTls, Config};
use crate::consent::Channel;
use crate::crm::Priority;
use crate::daemon;
use crate::outbox::envelope::{self, Action, Consent, Parts, Reach, Topic, Window, ulid};
use crate::outbox::rabbit::Rabbit;
use crate::outbox::words::{ContentClass, Decision};
use crate::outbox::{Outgoing, Topology};
use crate::phi::Phi;
use crate::store::{Error, TestTask};

/// How long a step may take.
const LIMIT: Duration = Duration::from_secs(15);
/// How often a step looks whether it is done.
const LOOK: Duration = Duration::from_millis(100);
/// What a test task is answered with.
const ANSWER: &str = "completed";

/// What became of a step: what it showed, left out and why, or failed and what to do.
pub(super) enum Step {
    Ok(String),
    LeftOut(String),
    Failed(String),
}

/// A check under way.
pub(super) struct Check<'a> {
    config: &'a Config,
    desk: &'a Desk,
    args: &'a CheckArgs,
    /// The test task.
    pub(super) task: TestTask,
    rabbit: Option<Rabbit>,
}

impl<'a> Check<'a> {
    pub(super) const fn new(
        config: &'a Config,
        desk: &'a Desk,
        args: &'a CheckArgs,
        task: TestTask,
    ) -> Self {
        Self {
            config,
            desk,
            args,
            task,
            rabbit: None,
        }
    }

    /// Connects, and makes sure that exchanges and queues stand.
    pub(super) async fn broker(&mut self, tracker: &TaskTracker, stop: &CancellationToken) -> Step {
        let Some(broker) = &self.config.broker else {
            let says = "no broker.url: tasks go to spool files; set it to try the way of a task";
            return Step::LeftOut(says.to_owned());
        };
        let topology = match Topology::of(&self.config.tenants) {
            Ok(topology) => topology,
            Err(error) => return Step::Failed(error.to_string()),
        };
        let started = Rabbit::start(broker, topology, tracker, stop.clone()).await;
        let ready = match started {
            Ok(rabbit) => {
                let ready = rabbit.ready(LIMIT).await;
                self.rabbit = Some(rabbit);
                ready
            }
            Err(reason) => Err(reason),
        };
        match ready {
            Ok(()) => Step::Ok("connected, exchanges and queues stand".to_owned()),
            Err(error) => {
                self.rabbit = None;
                Step::Failed(error.to_string())
            }
        }
    }

    /// Publishes the test task: to a queue of the check's own, or to the team's where it is named.
    pub(super) async fn test_task(&self) -> Step {
        let Some(rabbit) = &self.rabbit else {
            return match &self.args.queue {
                Some(_) => Step::Failed("--queue needs the broker".to_owned()),
                None => Step::Ok("made; without a broker it is not published".to_owned()),
            };
        };
        let body = match self.envelope().await {
            Ok(body) => body,
            Err(error) => return Step::Failed(format!("{error:#}")),
        };
        let own = format!("{}.crm-check.crm-check", self.desk.tenant.name);
        let key = self.args.queue.as_deref().and_then(|queue| {
            let (_, key) = queue.split_once("careloop.tasks.")?;
            Some(key)
        });
        let outgoing = Outgoing {
            message_id: ulid(Uuid::now_v7()),
            routing_key: format!("{}.routine", key.unwrap_or(&own)),
            body,
            expiration: Some(LIMIT.max(self.args.wait())),
        };
        if let Some(queue) = &self.args.queue {
            return match rabbit.deliver(&outgoing).await {
                Ok(()) => Step::Ok(format!("published and confirmed on {queue}")),
                Err(reason) => Step::Failed(reason.to_string()),
            };
        }
        match rabbit.there_and_back(&outgoing).await {
            Ok(back) if back == outgoing.body => {
                Step::Ok("published, confirmed, routed and taken".to_owned())
            }
            Ok(_) => {
                Step::Failed("another body came back; look for what rewrites messages".to_owned())
            }
            Err(reason) => Step::Failed(reason.to_string()),
        }
    }

    /// The message of the test task, in the shape of every task's.
    async fn envelope(&self) -> anyhow::Result<Vec<u8>> {
        let (task, now) = (&self.task, self.task.made_at);
        let site = daemon::site(&self.desk.store, &self.desk.tenant).await?;
        let digits = |id: Uuid| id.simple().to_string();
        let parts = Parts {
            message: Uuid::now_v7(),
            tenant: self.desk.tenant.name.clone(),
            task: task.id,
            version: 1,
            code: TaskCode::OutreachCall,
            priority: Priority::Routine,
            authored_on: now,
            not_before: now,
            due: task.ends_at,
            performer_role: None,
            person: task.person,
            topics: vec![Topic {
                kind: TopicKind::General,
                content_class: ContentClass::C0,
                gap: None,
            }],
            dedupe_key: digits(task.id) + &digits(task.person),
            attempt: 1,
            correlation: task.id,
            causation: task.id,
            public_url: self.config.public_url.clone(),
            traceparent: None,
        };
        let reach = Reach {
            channel: Channel::PhoneLive,
            proxy: None,
            contact_point: task.contact_point,
            language: "en".to_owned(),
            needs: Vec::new(),
            consent: Consent {
                id: task.decision,
                decision: Decision::Allow,
                reason_codes: vec!["P00_ALLOWED".to_owned()],
                purpose: TEST_PURPOSE,
                evaluated_at: now,
                valid_until: task.ends_at,
                window: Window {
                    from: now,
                    to: task.ends_at,
                    zone: "UTC".to_owned(),
                },
                obligations: Vec::new(),
                policy_version: site.policy.version().to_owned(),
            },
        };
        Ok(envelope::build(&parts, &Action::Requested(reach), now)?)
    }

    /// Asks for the content with the token, as the CRM does.
    pub(super) async fn content(&self) -> Step {
        let answer = match self.get(&self.content_path()).await {
            Ok(answer) => answer,
            Err(step) => return step,
        };
        let status = answer.status;
        if status != 200 {
            return Step::Failed(refused(&answer));
        }
        let same = answer.at("/task/id") == Some(Value::from(ulid(self.task.id)))
            && answer.at("/person/name/family") == Some(Value::from(TEST_FAMILY));
        let read = self.stands(|task| task.read_at.is_some()).await;
        match (same, read) {
            (true, true) => Step::Ok("the test person was told, and that is on record".to_owned()),
            (true, false) => Step::Failed(
                "it was told and is not on record here; is --hub the hub of this store?".to_owned(),
            ),
            _ => Step::Failed("another content came; look for what is between".to_owned()),
        }
    }

    /// Asks whether the decision that the message names still holds.
    pub(super) async fn recheck(&self) -> Step {
        let path = format!("/v1/consent-decisions/{}", ulid(self.task.decision));
        match self.get(&path).await {
            Err(step) => step,
            Ok(answer) if answer.status == 200 => {
                if answer.at("/holds") == Some(Value::Bool(true)) {
                    Step::Ok("the decision holds".to_owned())
                } else {
                    Step::Failed("expected `holds`: true, found another answer".to_owned())
                }
            }
            Ok(answer) if code(&answer) == "scope-missing" => {
                Step::LeftOut("the token has no scope decision:read".to_owned())
            }
            Ok(answer) => Step::Failed(refused(&answer)),
        }
    }

    /// Answers, or waits for the CRM to answer; then the hub has to have it.
    pub(super) async fn answer(&self) -> Step {
        if self.args.queue.is_some() {
            return self.answer_of_crm().await;
        }
        let id = format!("crm-check-{}", ulid(self.task.id));
        let body = json!({
            "id": id, "task": ulid(self.task.id), "version": 1, "type": ANSWER,
            "at": clock::now().to_string(),
        });
        let Some(rabbit) = &self.rabbit else {
            return self.answer_over_http(&body.to_string()).await;
        };
        let outgoing = Outgoing {
            message_id: id,
            routing_key: self.desk.tenant.name.clone(),
            body: body.to_string().into_bytes(),
            expiration: Some(LIMIT),
        };
        if let Err(reason) = rabbit.answer(&outgoing).await {
            return Step::Failed(reason.to_string());
        }
        if self.answered(LIMIT).await.is_some() {
            Step::Ok("the hub took it and noted it".to_owned())
        } else {
            let says = "the broker has it and no hub took it; start `careloop serve` on this configuration";
            Step::Failed(says.to_owned())
        }
    }

    async fn answer_of_crm(&self) -> Step {
        let Some(kind) = self.answered(self.args.wait()).await else {
            let read = self.stands(|task| task.read_at.is_some()).await;
            let far = if read {
                "it read the content"
            } else {
                "it did not read the content"
            };
            let says = format!(
                "no answer in {} s; {far}; look at the CRM's log for task {}",
                self.args.wait,
                ulid(self.task.id)
            );
            return Step::Failed(says);
        };
        Step::Ok(format!("the CRM answered: {kind}"))
    }

    async fn answer_over_http(&self, body: &str) -> Step {
        match self.ask("POST /v1/task-events", body).await {
            Err(step) => step,
            Ok(answer) if code(&answer) == "scope-missing" => {
                Step::LeftOut("the token has no scope task-event:write".to_owned())
            }
            Ok(answer) if answer.status == 202 => match self.answered(LIMIT).await {
                Some(_) => Step::Ok("the hub took it over HTTP and noted it".to_owned()),
                None => Step::Failed("it is not on record here; is --hub this hub?".to_owned()),
            },
            Ok(answer) => Step::Failed(refused(&answer)),
        }
    }

    /// After its end the content is gone, as that of a real task is.
    pub(super) async fn end(&self, ended: Result<(), Error>) -> Step {
        if let Err(error) = ended {
            return Step::Failed(error.to_string());
        }
        if self.args.token_file.is_none() {
            return Step::Ok("the test task is ended".to_owned());
        }
        match self.get(&self.content_path()).await {
            Ok(answer) if answer.status == 410 => {
                Step::Ok("the test task is ended, its content is gone (410)".to_owned())
            }
            Ok(answer) => Step::Failed(refused(&answer)),
            Err(step) => step,
        }
    }

    fn content_path(&self) -> String {
        let (id, purpose) = (ulid(self.task.id), TEST_PURPOSE.name());
        format!("/v1/tasks/{id}/content?purpose={purpose}")
    }

    async fn get(&self, path: &str) -> Result<Answer, Step> {
        self.ask(&format!("GET {path}"), "").await
    }

    /// Asks the hub with the CRM's token.
    async fn ask(&self, line: &str, body: &str) -> Result<Answer, Step> {
        let Some(file) = &self.args.token_file else {
            let says = "give --token-file with a token of `careloop token create --scope task:content,decision:read,task-event:write`";
            return Err(Step::LeftOut(says.to_owned()));
        };
        let token = crate::config::secret_file(file)
            .map(|bytes| Phi::new(String::from_utf8_lossy(&bytes).trim().to_owned()))
            .map_err(|problem| Step::Failed(problem.to_string()))?;
        let identity = self.args.certificate.clone().zip(self.args.key.clone());
        let server = Server {
            base: self.args.hub.as_deref().unwrap_or(&self.config.public_url),
            tls: self.args.ca.clone().map(|ca| ClientTls { ca, identity }),
        };
        match tokio::time::timeout(LIMIT, server.ask(line, token.open(), body)).await {
            Ok(answer) => answer.map_err(|error| Step::Failed(format!("{error:#}"))),
            Err(_elapsed) => Err(Step::Failed(
                "no answer in time; look at the hub's log and at what is between".to_owned(),
            )),
        }
    }

    /// Whether the test task stands as asked; a store that is away says no.
    async fn stands(&self, is: impl Fn(&TestTask) -> bool) -> bool {
        let found = self.desk.store.test_task(self.desk.id, self.task.id).await;
        found.is_ok_and(|task| task.is_some_and(|task| is(&task)))
    }

    /// The answer to the test task, when it comes in time.
    async fn answered(&self, within: Duration) -> Option<String> {
        let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::ZERO);
        let until: Timestamp = clock::now() + within;
        loop {
            let found = self.desk.store.test_task(self.desk.id, self.task.id).await;
            let answer = found.ok().flatten().and_then(|task| task.answer);
            if answer.is_some() || clock::now() >= until {
                return answer;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The code of a problem; empty where there is none.
fn code(answer: &Answer) -> String {
    let code = answer.at("/code");
    let code = code.as_ref().and_then(Value::as_str).unwrap_or_default();
    let is_code = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    // Whatever else stands between may have put its own words there.
    if code.bytes().all(is_code) {
        code.to_owned()
    } else {
        String::new()
    }
}

/// What to do about an answer that is none.
fn refused(answer: &Answer) -> String {
    let says = match code(answer).as_str() {
        "token-invalid" => "the token is not in force here; see `careloop token list`",
        "token-expired" => "the token has expired; make its successor with `careloop token create`",
        "scope-missing" | "purpose-not-allowed" => {
            "the token does not permit it; make one with --scope task:content,decision:read,task-event:write --purpose TREAT"
        }
        "agreement-not-in-force" => {
            "no agreement in force covers careloop.tasks; see [[agreement]] in the configuration"
        }
        "outreach-stopped" => "all outreach is stopped; see `careloop outreach show`",
        "not-found" => "the hub does not know the test task; is --hub the hub of this store?",
        "too-many-requests" => "more requests than http.requests_per_minute; try again in a minute",
        code => {
            return format!(
                "expected it to be told, found {} {code}; see the hub's log",
                answer.status
            );
        }
    };
    says.to_owned()
}
