//! The kernel's text, well-formed and not.

use super::*;

#[test]
fn the_kernels_text_is_read() {
    let text = "some avg10=1.53 avg60=0.40 avg300=0.10 total=12\nfull avg10=9.99 avg60=0 total=1\n";
    assert_eq!(some_avg10_milli(text), Some(15));
    assert_eq!(some_avg10_milli("some avg10=100.00 avg60=0.00\n"), Some(1000));
    for odd in ["", "full avg10=1.00", "some avg60=1.00", "some avg10=x.y", "some avg10=1"] {
        assert_eq!(some_avg10_milli(odd), None, "{odd:?}");
    }
}

#[test]
fn a_kernel_without_it_reports_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(read(folder.path()), None);
    for name in ["cpu", "memory", "io"] {
        std::fs::write(folder.path().join(name), "some avg10=2.00 total=1\n").unwrap();
    }
    let all = Pressure { cpu_milli: 20, memory_milli: 20, io_milli: 20 };
    assert_eq!(read(folder.path()), Some(all));
}
