//! Templates that are made to break the process fail as other templates do.

use std::path::Path;

use scorer_prompt::{
    ChatRequest, Clock, Model, ModelOptions, PromptError, RenderLimits, RequestLimits, Template,
};
use serde_json::json;

fn compile(source: &str) -> Result<Template, String> {
    Template::compile(source, RenderLimits::default(), Clock::default())
        .map_err(|error| error.to_string())
}

#[test]
fn deep_sources_do_not_overflow_the_stack() {
    let many = 100_000;
    for source in [
        format!("{{{{ {}1 }}}}", "-".repeat(many)),
        format!("{{{{ a{} }}}}", ".a".repeat(many)),
        format!("{{{{ a{} }}}}", "~a".repeat(many)),
        format!("{{{{ {}{} }}}}", "[".repeat(many), "]".repeat(many)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(many)),
        "{% if a %}".repeat(many),
    ] {
        assert!(compile(&source).is_err());
    }
}

/// What the bounds allow fits the compiler's stack, without optimisation too.
#[test]
fn sources_at_the_bounds_compile() {
    let (ifs, ends) = ("{% if a %}".repeat(20), "{% endif %}".repeat(20));
    let branches = "{% elif a %}".repeat(500);
    for deep in [
        format!("{}1", "- ".repeat(390)),
        format!("a{}", ".a".repeat(190)),
        format!("a{}", " ~ a".repeat(190)),
        format!("{}{}", "[".repeat(60), "]".repeat(60)),
        format!("{}{}1{}", "-".repeat(300), "(".repeat(45), ")".repeat(45)),
    ] {
        let source = format!("{ifs}{branches}{{{{ {deep} }}}}{ends}");
        assert_eq!(compile(&source).map(|_| ()), Ok(()), "{deep}");
    }
}

fn model(template: Option<&str>) -> Model {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vllm/model");
    let options = ModelOptions {
        chat_template: template.map(str::to_owned),
        ..ModelOptions::default()
    };
    Model::from_directory("m", Path::new(directory), options).unwrap()
}

fn render(model: &Model, own: Option<&str>) -> Result<String, PromptError> {
    let limits = RequestLimits {
        template_bytes: 1 << 20,
        ..RequestLimits::default()
    };
    let mut body = json!({"messages": [{"role": "user", "content": "a"}]});
    if let Some(own) = own {
        body["chat_template"] = own.into();
    }
    model.render(ChatRequest::parse(body.to_string().as_bytes(), &limits).unwrap())
}

fn failure(template: &str) -> String {
    match render(&model(Some(template)), None) {
        Err(PromptError::Render(error)) => error.to_string(),
        other => format!("{:?}", other.map(|text| text.len())),
    }
}

#[test]
fn filters_do_not_make_more_than_a_prompt_may_have() {
    let long = "{% set s = 'x' * 10000000 %}";
    for (expression, named) in [
        ("[1] | batch(1000000000, 0)", "batch"),
        ("[1] | slice(1000000000)", "slice"),
        ("'a\nb' | indent(1000000000)", "indent"),
        ("'a\nb' | indent(width=1000000000)", "indent"),
        ("range(9999) | join(s)", "join"),
        ("('a' * 9999) | join(s)", "join"),
        ("('a' * 9999) | replace('a', s)", "replace"),
        ("('a' * 9999).replace('a', s)", "replace"),
        ("s.join(range(9999) | map('string'))", "join"),
        ("'a'.center(1000000000)", "padding"),
        ("'%1000000000d' | format(1)", "format"),
        ("'%(a)1000000000d' | format(a=1)", "format"),
        ("'%%%*d' | format(1000000000, 1)", "format"),
        ("'{:1000000000}'.format(1)", "format"),
        ("'{{{:}>1000000000}'.format(1)", "format"),
        ("range(1000000000) | list", "range"),
        ("'x' * 1000000000", "too large"),
    ] {
        let error = failure(&format!("{long}{{{{ ({expression}) | length }}}}"));
        assert!(error.contains(named), "{expression}: {error}");
    }
}

#[test]
fn deep_values_are_not_printed() {
    let deep = "{% set ns = namespace(l=[]) %}{% for i in range(500) %}{% set ns.l = [ns.l] %}{% endfor %}";
    let own = "{% set ns = namespace() %}{% set ns.l = ns %}";
    for build in [deep, own] {
        for print in ["ns.l", "ns.l | tojson", "ns.l | string", "[ns.l] | join"] {
            let error = failure(&format!("{build}{{{{ {print} }}}}"));
            assert!(error.contains("nests"), "{print}: {error}");
        }
    }
}

/// A request's template has no fuel for values that overflow its stack when
/// they are compared and freed.
#[test]
fn the_deepest_values_of_a_request_are_freed() {
    let model = model(None);
    let nested = format!("{}ns.l{}", "[".repeat(60), "]".repeat(60));
    let build = |turns: usize| {
        format!(
            "{{% set ns = namespace(l=[], m=[]) %}}{{% for i in range({turns}) %}}{{% set ns.l = {nested} %}}{{% set ns.m = {} %}}{{% endfor %}}",
            nested.replace("ns.l", "ns.m")
        )
    };
    let compared = format!("{}{{{{ ns.l == ns.m }}}}", build(750));
    assert_eq!(render(&model, Some(&compared)), Ok("True".to_owned()));
    let error = render(&model, Some(&build(99_999))).unwrap_err();
    let expected = "Render(OutOfFuel { limit: 100000 })";
    assert_eq!(format!("{error:?}"), expected);
    let long = "a".repeat(RenderLimits::REQUEST_TEMPLATE_BYTES + 1);
    let error = render(&model, Some(&long)).unwrap_err();
    assert!(matches!(error, PromptError::Template(_)), "{error}");
}
