//! DeleteTopics: by name or by id (KIP-516).

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::TopicName as WireTopicName;
use kafka_protocol::protocol::StrBytes;

use crate::api::controller_gate::{submit, unexpected, wait_of};
use crate::api::errors::{code_and_message, invalid_request};
use crate::api::{Api, On, RequestContext};
use crate::controller::command::{ApiError, Command, Reply, TopicRef};
use crate::metadata::MetadataImage;
use crate::schema::api::delete_topics_response::DeletableTopicResult;
use crate::schema::api::{DeleteTopicsRequest, DeleteTopicsResponse};
use crate::types::{ErrorCode, TopicId};

/// From this version on there is a code for "deletion is switched off".
const DISABLED_CODE_FROM: i16 = 3;
/// From this version on topics may be named by id.
const IDS_FROM: i16 = 6;

/// Key 20.
pub struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    type Response = DeleteTopicsResponse;
    const KEY: i16 = 20;
    const VERSIONS: std::ops::RangeInclusive<i16> = 1..=6;
    const ON: On = On::Both;

    async fn handle(cx: &RequestContext, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let timeout = wait_of(request.timeout_ms);
        let wanted = wanted(cx.version, request);
        if !cx.broker.config.delete_topic_enable {
            let error: ApiError = if cx.version < DISABLED_CODE_FROM {
                invalid_request("Topic deletion is disabled.")
            } else {
                ErrorCode::TopicDeletionDisabled.into()
            };
            return answer(wanted.into_iter().map(|(name, id)| failed(name, id, &error)).collect());
        }
        let Plan { mut answers, to_delete } = Plan::of(&cx.broker.image(), wanted);
        if !to_delete.is_empty() {
            let ids = to_delete.keys().copied().map(TopicRef::Id).collect();
            let outcomes = match submit(cx, Command::DeleteTopics(ids), timeout).await {
                Ok(Reply::DeleteTopics(outcomes)) => Ok(outcomes),
                Ok(other) => Err(unexpected(&other)),
                Err(error) => Err(error),
            };
            let mut errors: BTreeMap<TopicId, ApiError> = BTreeMap::new();
            match outcomes {
                Ok(outcomes) => {
                    for (topic, outcome) in outcomes {
                        if let (TopicRef::Id(id), Err(error)) = (topic, outcome) {
                            errors.insert(id, error);
                        }
                    }
                }
                Err(error) => errors.extend(to_delete.keys().map(|id| (*id, error.clone()))),
            }
            answers.extend(to_delete.into_iter().map(|(id, name)| match errors.get(&id) {
                Some(error) => failed(Some(name), id, error),
                None => result(Some(name), id),
            }));
        }
        answer(answers)
    }
}

/// A topic as the client names it: by either, and not by both.
type Wanted = (Option<WireTopicName>, TopicId);

fn wanted(version: i16, request: DeleteTopicsRequest) -> Vec<Wanted> {
    if version >= IDS_FROM {
        return request.topics.into_iter().map(|topic| (topic.name, TopicId(topic.topic_id))).collect();
    }
    request.topic_names.into_iter().map(|name| (Some(name), TopicId::NIL)).collect()
}

/// What is to be done for a request.
#[derive(Default)]
struct Plan {
    /// What is already answered.
    answers: Vec<DeletableTopicResult>,
    /// Topics that are there and were named once.
    to_delete: BTreeMap<TopicId, WireTopicName>,
}

impl Plan {
    fn of(image: &MetadataImage, wanted: Vec<Wanted>) -> Plan {
        let mut plan = Plan::default();
        let mut names: BTreeMap<WireTopicName, usize> = BTreeMap::new();
        let mut ids: BTreeMap<TopicId, usize> = BTreeMap::new();
        for (name, id) in wanted {
            match name {
                Some(name) if id.is_nil() => *names.entry(name).or_default() += 1,
                None if !id.is_nil() => *ids.entry(id).or_default() += 1,
                None => plan.refuse(None, id, "Neither topic name nor id were specified."),
                name => plan.refuse(name, id, "You may not specify both topic name and topic id."),
            }
        }
        let mut twice = BTreeSet::new();
        for (id, times) in ids {
            match image.topics().get_by_id(id) {
                _ if times > 1 => {
                    twice.insert(id);
                    plan.refuse(None, id, "Duplicate topic id.");
                }
                Some(topic) => {
                    plan.to_delete.insert(id, wire_name(&topic.name));
                }
                None => plan.answers.push(failed(None, id, &ErrorCode::UnknownTopicId.into())),
            }
        }
        for (name, times) in names {
            if times > 1 {
                plan.refuse(Some(name), TopicId::NIL, "Duplicate topic name.");
                continue;
            }
            let Some(topic) = image.topics().get(&name) else {
                plan.answers.push(failed(
                    Some(name),
                    TopicId::NIL,
                    &ErrorCode::UnknownTopicOrPartition.into(),
                ));
                continue;
            };
            if twice.contains(&topic.id) || plan.to_delete.insert(topic.id, name.clone()).is_some() {
                twice.insert(topic.id);
                plan.to_delete.remove(&topic.id);
                let why = "The provided topic name maps to an ID that was already supplied.";
                plan.refuse(Some(name), topic.id, why);
            }
        }
        plan
    }

    fn refuse(&mut self, name: Option<WireTopicName>, id: TopicId, why: &str) {
        self.answers.push(failed(name, id, &invalid_request(why)));
    }
}

fn answer(responses: Vec<DeletableTopicResult>) -> DeleteTopicsResponse {
    DeleteTopicsResponse::default().with_responses(responses)
}

fn wire_name(name: &str) -> WireTopicName {
    StrBytes::from_string(name.to_owned()).into()
}

fn result(name: Option<WireTopicName>, id: TopicId) -> DeletableTopicResult {
    DeletableTopicResult::default().with_name(name).with_topic_id(id.0).with_error_message(None)
}

fn failed(name: Option<WireTopicName>, id: TopicId, error: &ApiError) -> DeletableTopicResult {
    let (code, message) = code_and_message(error);
    result(name, id).with_error_code(code).with_error_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::test_image::{image, topic_id};

    fn plan(wanted: &[(Option<&str>, u128)]) -> (Vec<String>, Vec<(i16, String)>) {
        let wanted =
            wanted.iter().map(|(name, id)| (name.map(wire_name), TopicId(uuid::Uuid::from_u128(*id))));
        let plan = Plan::of(&image(&[("a", 1), ("b", 1)], &[]), wanted.collect());
        let names = plan.to_delete.values().map(|name| name.to_string()).collect();
        let refused = plan.answers.iter();
        let message = |a: &DeletableTopicResult| a.error_message.as_ref().map_or("", |m| m).to_owned();
        (names, refused.map(|a| (a.error_code, message(a))).collect())
    }

    #[test]
    fn topics_are_named_once_and_in_one_way() {
        let [a, b] = [topic_id(0).as_u128(), topic_id(1).as_u128()];
        assert_eq!(plan(&[(Some("a"), 0), (None, b)]), (vec!["a".to_owned(), "b".to_owned()], vec![]));
        let refused = |wanted: &[(Option<&str>, u128)], code: i16, message: &str| {
            assert_eq!(plan(wanted), (vec![], vec![(code, message.to_owned())]), "{wanted:?}");
        };
        refused(&[(Some("a"), 0), (Some("a"), 0)], 42, "Duplicate topic name.");
        refused(&[(None, a), (None, a)], 42, "Duplicate topic id.");
        refused(&[(None, 0)], 42, "Neither topic name nor id were specified.");
        refused(&[(Some("a"), a)], 42, "You may not specify both topic name and topic id.");
        refused(&[(None, 9)], 100, "This server does not host this topic ID.");
        refused(&[(Some("c"), 0)], 3, "This server does not host this topic-partition.");
        let twice = "The provided topic name maps to an ID that was already supplied.";
        refused(&[(None, a), (Some("a"), 0)], 42, twice);
    }

    #[test]
    fn what_is_passed_on_and_its_answer_come_over_the_wire_as_they_are() {
        use crate::controller::remote::topics::{DELETE_VERSION, delete_reply, delete_request};
        let [a, unknown] = [TopicId(topic_id(0)), TopicId(uuid::Uuid::from_u128(9))];
        let topics = [TopicRef::Id(a), TopicRef::Name("b".into()), TopicRef::Id(unknown)];
        let request = crate::api::test_wire::over_the_wire(DELETE_VERSION, &delete_request(&topics, 7));
        assert_eq!(request.timeout_ms, 7);
        let plan = Plan::of(&image(&[("a", 1), ("b", 1)], &[]), wanted(DELETE_VERSION, request));
        let b = TopicId(topic_id(1));
        assert_eq!(plan.to_delete.keys().copied().collect::<Vec<_>>(), [a, b]);
        let mut answers = plan.answers;
        answers.extend(plan.to_delete.into_iter().map(|(id, name)| result(Some(name), id)));
        let error = ApiError::new(ErrorCode::UnknownTopicId, "This server does not host this topic ID.");
        let [of_a, of_b, of_unknown] = topics.clone();
        let expected =
            vec![(of_a, Ok(("a".into(), a))), (of_b, Ok(("b".into(), b))), (of_unknown, Err(error))];
        assert_eq!(delete_reply(&topics, answer(answers)), Reply::DeleteTopics(expected));
        let nothing = delete_reply(&topics[..1], DeleteTopicsResponse::default());
        let lost = Err(ErrorCode::UnknownServerError.into());
        assert_eq!(nothing, Reply::DeleteTopics(vec![(TopicRef::Id(a), lost)]));
    }
}
