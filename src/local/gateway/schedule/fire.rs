//! One time of a schedule: the function is invoked, again when it was not taken, and in the end the queue for what never
//! was is told.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use super::{ScheduleApi, record::Schedule};
use crate::local::gateway::upstream::segment;

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(60);

impl ScheduleApi {
    /// Invokes the function for one due time, until it is taken, or the schedule's patience ends, or the schedule is gone.
    pub(super) async fn fire(&self, key: &str, schedule: &Schedule, due: Timestamp) {
        let retry = &schedule.input.target.retry_policy;
        let end = due + SignedDuration::from_secs(retry.maximum_event_age_in_seconds.into());
        let execution = Uuid::new_v4().simple().to_string();
        let mut pause = Duration::from_secs(1);
        for attempt in 1..=retry.maximum_retry_attempts.saturating_add(1) {
            if self.records.now().schedules.get(key).is_none_or(|it| it.created != schedule.created) {
                return;
            }
            let region = key.split('/').next().unwrap_or_default();
            let event = event(schedule, &self.account, region, due, &execution, attempt);
            let why = match self.invoke(schedule, region, event).await {
                Ok(()) => return,
                Err(why) => why,
            };
            tracing::info!("{}: attempt {attempt} failed: {why}", schedule.arn);
            if attempt > retry.maximum_retry_attempts || Timestamp::now() + pause > end {
                return self.give_up(schedule, region, due, &execution).await;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Asks Lambda to take an event, as Scheduler does: it does not wait for what becomes of it.
    async fn invoke(&self, schedule: &Schedule, region: &str, event: String) -> Result<(), String> {
        let path = format!("/2015-03-31/functions/{}/invocations", segment(&schedule.input.target.arn));
        let request = self.upstream.request("POST", &path, "lambda", region);
        let request = request.header("content-type", "application/json").header("x-amz-invocation-type", "Event");
        let answer = self.upstream.send(request, Bytes::from(event)).await.map_err(|err| err.to_string())?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.refusal()) }
    }

    async fn give_up(&self, schedule: &Schedule, region: &str, due: Timestamp, execution: &str) {
        let arn = &schedule.arn;
        let Some(queue) = &schedule.input.target.dead_letter_config else {
            tracing::warn!("{arn}: the invocation of {due} was given up");
            return;
        };
        let mut parts = queue.arn.rsplit(':');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let body = event(schedule, &self.account, region, due, execution, 0);
        let input = json!({ "QueueUrl": format!("/{account}/{name}"), "MessageBody": body });
        let sent = self.upstream.ask("sqs", region, "AmazonSQS.SendMessage", &input).await;
        match sent {
            Ok(it) if it.status.is_success() => tracing::info!("{arn}: the invocation of {due} went to {name}"),
            Ok(it) => tracing::warn!("{arn}: the invocation of {due} is lost: {}", it.refusal()),
            Err(err) => tracing::warn!("{arn}: the invocation of {due} is lost: {err}"),
        }
    }
}

/// Words the event: what the schedule says, with its keywords replaced, or the one that Scheduler has for functions.
fn event(schedule: &Schedule, account: &str, region: &str, due: Timestamp, execution: &str, attempt: u32) -> String {
    let time = due.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    match &schedule.input.target.input {
        Some(it) => it
            .replace("<aws.scheduler.schedule-arn>", &schedule.arn)
            .replace("<aws.scheduler.scheduled-time>", &time)
            .replace("<aws.scheduler.execution-id>", execution)
            .replace("<aws.scheduler.attempt-number>", &attempt.to_string()),
        None => json!({
            "version": "0", "id": Uuid::new_v4().to_string(), "detail-type": "Scheduled Event",
            "source": "aws.scheduler", "account": account, "time": time, "region": region,
            "resources": [schedule.arn], "detail": "{}",
        })
        .to_string(),
    }
}
