use super::*;

/// All simple commands of a script, in the order in which they stand, with their words.
fn commands(text: &str) -> Vec<String> {
    let script = Script::parse(text);
    let mut found = Vec::new();
    collect(&script.body, &mut found);
    found
}

fn collect(list: &List, found: &mut Vec<String>) {
    for command in
        list.items.iter().flat_map(Item::pipelines).flat_map(|pipeline| &pipeline.commands)
    {
        if let Kind::Simple(simple) = &command.kind {
            collect_simple(simple, found);
        }
        for list in lists(&command.kind) {
            collect(list, found);
        }
    }
}

fn collect_simple(simple: &Simple, found: &mut Vec<String>) {
    for list in simple.assignments.iter().flat_map(|assignment| &assignment.value.substitutions) {
        collect(list, found);
    }
    if !simple.words.is_empty() {
        let words: Vec<&str> = simple.words.iter().map(|word| word.text.as_str()).collect();
        found.push(words.join("|"));
    }
    for list in simple.words.iter().flat_map(|word| &word.substitutions) {
        collect(list, found);
    }
}

/// The lists inside a command, in order.
fn lists(kind: &Kind) -> Vec<&List> {
    match kind {
        Kind::Simple(_) => Vec::new(),
        Kind::Group(list) | Kind::Subshell(list) => vec![list],
        Kind::If { branches, otherwise } => {
            let all = branches.iter().flat_map(|(condition, body)| [condition, body]);
            all.chain(otherwise).collect()
        }
        Kind::Loop { condition, body, .. } => vec![condition, body],
        Kind::For { words, body, .. } => {
            words.iter().flat_map(|word| &word.substitutions).chain([body]).collect()
        }
        Kind::Case(arms) => arms.iter().collect(),
        Kind::Function { body, .. } => lists(&body.kind),
    }
}

#[test]
fn words_and_quotes() {
    for (text, want) in [
        ("a b  c", "a|b|c"),
        ("a 'b c' \"d e\"", "a|b c|d e"),
        (r"a b\ c", "a|b c"),
        (r#"a "b\"c" 'd"e'"#, "a|b\"c|d\"e"),
        (r#"a "x\n""#, r"a|x\n"),
        (r"a $'b\'c'", "a|b'c"),
        ("a b\\\nc d", "a|bc|d"),
        ("a # b", "a"),
        ("a b#c", "a|b#c"),
        ("a $HOME ${X:-}} b}", "a|$HOME|${X:-}}|b}"),
        ("a \"${X:-\"y z\"}\" b", "a|${X:-\"y z\"}|b"),
        ("a $((1 + (2))) b", "a|$((1 + (2)))|b"),
        ("A=1 B='2 3' a b", "a|b"),
        ("a B=1", "a|B=1"),
        ("a 2>&1 >x 2>/dev/null <y b", "a|b"),
        ("2>x a", "a"),
        ("a 3", "a|3"),
        ("a é \u{1F600}", "a|é|\u{1F600}"),
        ("ARGS=(--a \"b c\"\n d) a \"${ARGS[@]}\"", "a|${ARGS[@]}"),
        ("[[ -f x && ! ( $a < 3 ) ]]", "[[|-f|x|!|$a|3"),
        ("((i++))", "((|i++"),
        ("a {1..3}", "a|{1..3}"),
    ] {
        assert_eq!(commands(text), [want], "{text}");
    }
}

#[test]
fn structure() {
    for (text, want) in [
        ("a; b & c && d || e | f |& g\nh", "a b c d e f g h"),
        ("if a; then b; elif c; then d; else e; fi; f", "a b c d e f"),
        ("while a; do b; done; until c\ndo d; done", "a b c d"),
        ("for i in 1 2; do a; done; for i; do b; done; for ((i=0;i<3;i++)); do c; done", "a b c"),
        ("for i in x\ndo\na\ndone", "a"),
        ("case x in a|b) a ;; (c) b; c ;& *) d\nesac; e", "a b c d e"),
        ("case x in\n a)\n  a\n  ;;\nesac\nb", "a b"),
        ("{ a; b; }; ( c; d )", "a b c d"),
        ("f() { a; }; function g { b; }; function h() (c); f", "a b c f"),
        ("! a; time -p b", "a b"),
        ("X=$(a) b; `c`; \"$(d)\"; e <(f) > >(g)", "a b $() c $() d e|$() f"),
        ("a $(b $(c \"$(d)\"))", "a|$() b|$() c|$() d"),
        ("`a \\`b\\``", "$() a|$() b"),
        ("cat <<EOF; a\nb\n$(c)\nEOF\nd", "cat a d"),
        ("cat <<-'E F'\n\tb\n\tE F\na", "cat a"),
        ("cat <<A <<B\n1\nA\n2\nB\na", "cat a"),
        ("if a; then\n  # then b\n  c\nfi", "a c"),
        ("echo if then fi; a", "echo|if|then|fi a"),
        ("'if' a; b", "if|a b"),
    ] {
        assert_eq!(commands(text).join(" "), want, "{text}");
    }
}

#[test]
fn here_documents() {
    let script = Script::parse("psql <<EOF\nSELECT 1;\nEOF\nmysql <<-X\n\ta\n\tX\n");
    let texts: Vec<&str> = (0..3).map(|id| script.here_document(id)).collect();
    assert_eq!(texts, ["SELECT 1;\n", "a\n", ""]);
}

#[test]
fn malformed_scripts_yield_what_was_understood() {
    for (text, want) in [
        ("a; fi; b", "a b"),
        ("a; ) b", "a b"),
        ("if a; then b", "a b"),
        ("while a; do b; fi; c", "a b c"),
        ("a && ; b", "a b"),
        ("a; 'b", "a b"),
        ("a \"b", "a|b"),
        ("a $(b", "a|$() b"),
        ("a ${b", "a|${b"),
        ("a `b", "a|$() b"),
        ("case", ""),
        ("case x in a", ""),
        ("for", ""),
        ("cat <<EOF\na", "cat"),
        ("f( { a; }", "a"),
        (";; ; & | && a", "a"),
    ] {
        assert_eq!(commands(text).join(" "), want, "{text}");
    }
}

#[test]
fn bounds() {
    let deep = "$(".repeat(5000) + "a" + &")".repeat(5000);
    assert!(commands(&deep).len() <= 5001);
    for open in
        ["(", "{ ", "if ", "while ", "f() ", "`", "case x in a) ", "! ", "\"$(", "((", "${", "<<A "]
    {
        Script::parse(&open.repeat(20_000));
    }
    let long = "a\n".repeat(MAX_SCRIPT);
    assert!(commands(&long).len() <= MAX_TOKENS);
    let cut = format!("a {}\u{1F600}", "b".repeat(MAX_SCRIPT - 4));
    assert_eq!(commands(&cut).len(), 1);
}
