//! What holds for every order of messages and every cut of the bodies.

use proptest::prelude::*;

use super::tests::{decided, head, request_body, response_body, response_head};
use super::*;

const LIMIT: usize = 150_000;

const RULES: Rules = Rules {
    body_bytes_max: LIMIT,
    destinations_max: 1,
    test_selection: false,
};

/// Messages as plain data, so that they can be shown when a case fails.
#[derive(Debug, Clone)]
enum Step {
    RequestHeaders(bool),
    RequestBody(usize, bool),
    RequestTrailers,
    ResponseHeaders(bool),
    ResponseBody(usize, bool),
    ResponseTrailers,
    Decided,
    Refused,
    HalfClosed,
    Reset,
    Stopped,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![0usize..5, 60_000usize..64_000];
    prop_oneof![
        2 => any::<bool>().prop_map(Step::RequestHeaders),
        4 => (bytes.clone(), any::<bool>()).prop_map(|(n, end)| Step::RequestBody(n, end)),
        1 => Just(Step::RequestTrailers),
        1 => any::<bool>().prop_map(Step::ResponseHeaders),
        3 => (bytes, any::<bool>()).prop_map(|(n, end)| Step::ResponseBody(n, end)),
        1 => Just(Step::ResponseTrailers),
        3 => Just(Step::Decided),
        1 => Just(Step::Refused),
        1 => Just(Step::HalfClosed),
        1 => Just(Step::Reset),
        1 => Just(Step::Stopped),
    ]
}

fn event(step: &Step) -> Event {
    match *step {
        Step::RequestHeaders(end) => head(end),
        Step::RequestBody(bytes, end) => request_body(&vec![b'q'; bytes], end),
        Step::RequestTrailers => Event::RequestTrailers,
        Step::ResponseHeaders(end) => response_head(end),
        Step::ResponseBody(bytes, end) => response_body(&vec![b's'; bytes], end),
        Step::ResponseTrailers => Event::ResponseTrailers,
        Step::Decided => decided(None),
        Step::Refused => Event::Decided(Err(Refused {
            kind: RefusedKind::NoEndpoint,
            message: String::new(),
            retry_after: None,
        })),
        Step::HalfClosed => Event::HalfClosed,
        Step::Reset => Event::Reset,
        Step::Stopped => Event::Stopped,
    }
}

/// What a stream has done, summed up.
#[derive(Default)]
struct Seen {
    decisions: usize,
    ends: usize,
    tickets_closed: usize,
    routed: bool,
    /// Rank of the last answer to the request: headers, body, trailers.
    rank: usize,
    after_the_end: bool,
}

impl Seen {
    fn note(&mut self, action: &Action) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.ends, 0, "nothing follows the end");
        match action {
            Action::Decide(question) => {
                self.decisions += 1;
                prop_assert!(
                    question
                        .body
                        .as_ref()
                        .is_none_or(|body| body.len() <= LIMIT)
                );
            }
            Action::Send(answer) => self.answer(answer)?,
            Action::Finished(..) | Action::Forget => {
                prop_assert!(self.routed);
                self.tickets_closed += 1;
            }
            Action::Close | Action::Fail(_) => self.ends += 1,
            Action::Responded(..) | Action::Progressed => {
                prop_assert_eq!(self.tickets_closed, 0);
            }
            Action::Abandon => prop_assert_eq!(self.decisions, 1),
        }
        Ok(())
    }

    fn answer(&mut self, answer: &Answer) -> Result<(), TestCaseError> {
        let rank = match answer {
            Answer::RequestHeaders(_) => 1,
            Answer::RequestBody { bytes, .. } => {
                prop_assert!(bytes.len() <= 62_000);
                2
            }
            Answer::RequestTrailers => 3,
            Answer::Immediate(_) => {
                prop_assert!(!self.routed);
                return Ok(());
            }
            _ => return Ok(()),
        };
        prop_assert!(rank > self.rank || rank == 2 && self.rank == 2);
        prop_assert!(!self.after_the_end);
        self.after_the_end = matches!(
            answer,
            Answer::RequestBody {
                end_of_stream: true,
                ..
            }
        );
        self.rank = rank;
        self.routed = true;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Messages in any order, from a gateway that has lost its mind.
    #[test]
    fn any_order_is_survived(steps in proptest::collection::vec(step(), 0..40)) {
        let mut stream = Stream::new(RULES, 0);
        let mut seen = Seen::default();
        for step in &steps {
            // A decision comes only where one was asked for.
            let decision = matches!(step, Step::Decided | Step::Refused);
            if decision && stream.waits_for() != Waits::Decision {
                continue;
            }
            for action in stream.on(event(step)) {
                seen.note(&action)?;
            }
        }
        prop_assert!(seen.decisions <= 1);
        prop_assert!(seen.tickets_closed <= 1);
        if seen.ends == 0 {
            for action in stream.on(Event::Reset) {
                seen.note(&action)?;
            }
        }
        prop_assert_eq!(seen.ends, 1);
        prop_assert_eq!(seen.tickets_closed, usize::from(seen.routed));
    }

    /// A request comes out as it came in, however it was cut.
    #[test]
    fn bytes_out_are_bytes_in(
        // Four at most, and together within the limit.
        cuts in proptest::collection::vec(prop_oneof![0usize..9, 30_000usize..37_000], 1..5),
        trailers in any::<bool>(),
    ) {
        let body: Vec<u8> = (0..cuts.iter().sum()).map(|at: usize| (at % 251) as u8).collect();
        let mut stream = Stream::new(RULES, 0);
        let mut actions = stream.on(head(false));
        let mut rest = body.as_slice();
        for (position, cut) in cuts.iter().enumerate() {
            let (part, behind) = rest.split_at(*cut);
            rest = behind;
            let last = position + 1 == cuts.len() && !trailers;
            actions.extend(stream.on(request_body(part, last)));
        }
        if trailers {
            actions.extend(stream.on(Event::RequestTrailers));
        }
        actions.extend(stream.on(decided(None)));
        let (mut out, mut ends) = (Vec::new(), Vec::new());
        for action in &actions {
            if let Action::Send(Answer::RequestBody { bytes, end_of_stream }) = action {
                out.extend_from_slice(bytes);
                ends.push(*end_of_stream);
            }
        }
        prop_assert_eq!(out, body);
        let last = ends.pop();
        prop_assert_eq!(last, Some(!trailers));
        prop_assert!(ends.iter().all(|end| !end));
    }

    /// Every message of a response is answered at once, with what it holds.
    #[test]
    fn responses_pass_message_by_message(
        parts in proptest::collection::vec(0usize..2_000, 1..10),
        with_request in any::<bool>(),
    ) {
        let mut stream = Stream::new(RULES, 0);
        if with_request {
            stream.on(head(true));
            stream.on(decided(None));
        }
        stream.on(response_head(false));
        for (position, bytes) in parts.iter().enumerate() {
            let last = position + 1 == parts.len();
            let actions = stream.on(response_body(&vec![b's'; *bytes], last));
            let sent: Vec<_> = actions.iter().filter(|action| matches!(action, Action::Send(_))).collect();
            prop_assert_eq!(sent.len(), 1);
            let same = matches!(
                sent[0],
                Action::Send(Answer::ResponseBody { bytes: sent, end_of_stream })
                    if sent.len() == *bytes && *end_of_stream == last
            );
            prop_assert!(same);
        }
    }
}
