//! Templates that are made to break the process fail as other templates do.

use scorer_prompt::{Clock, RenderLimits, Template};

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
