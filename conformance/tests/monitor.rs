//! A monitor in plain C that opens both libraries by name, as monitors do, and faults on purpose.

use flexdirect_conformance::harness::{Ended, PATIENCE, World, program};

fn says(arguments: &[&str]) -> String {
    let world = World::new(256);
    let outcome = world
        .native(&program("monitor"), arguments)
        .finish(PATIENCE);
    assert_eq!(outcome.ended, Ended::Exited(0), "{outcome:?}");
    outcome.text()
}

#[test]
fn it_tells_what_a_program_does() {
    let said = says(&[]);
    let (name, rest) = said.split_once("\nname ").expect("there is a name");
    assert_eq!(name, "devices 1, a version 1");
    let (_, rest) = rest.split_once(", the driver's ").expect("it is compared");
    assert_eq!(
        rest,
        "1\n\
         UUID GPU-... 1, the driver's 1\n\
         PCI 00000000:01:00.0, the driver's 0000:01:00.0\n\
         memory 256 MiB, used as much as is held 1, adds up 1\n\
         processes 1, this one 1, with what it holds 1\n\
         copies use memory 1 and run no kernel 1\n\
         temperature told or not supported 1, power not supported 1\n\
         ECC 1, errors 0 and 0\n\
         no event yet 1\n\
         the driver says 700, an event of type 8: Xid 31, of the device 1\n\
         the device is lost 0, uncorrected errors 0\n"
    );
}

#[test]
fn it_tells_of_faults_on_purpose() {
    for (fault, told) in [
        ("illegal:wild", [(700, 31), (0, 0)]),
        ("ecc:0", [(214, 48), (0, 1)]),
        ("lost:0", [(46, 79), (1, 0)]),
    ] {
        let [(code, xid), (lost, errors)] = told;
        let wanted = format!(
            "devices 1, a version 1\n\
             no event yet 1\n\
             the driver says {code}, an event of type 8: Xid {xid}, of the device 1\n\
             the device is lost {lost}, uncorrected errors {errors}\n"
        );
        assert_eq!(says(&[fault]), wanted, "{fault}");
    }
}
