from predue.domain.keys import Keys

OLD, NEW = b"0" * 32, b"1" * 32


def test_a_borrowers_opaque_name_is_always_the_same_and_tells_nothing() -> None:
    keys = Keys([OLD])
    assert keys.borrower_ref("b-1") == Keys([OLD]).borrower_ref("b-1")
    assert keys.borrower_ref("b-1") != keys.borrower_ref("b-2")
    assert "b-1" not in keys.borrower_ref("b-1")
    assert keys.borrower_ref("b-1").isalnum()
    assert len(keys.borrower_ref("b-1")) == 16


def test_opaque_names_outlive_a_new_root_key() -> None:
    assert Keys([NEW, OLD]).borrower_ref("b-1") == Keys([OLD]).borrower_ref("b-1")
    assert Keys([NEW, OLD]).address_ref("sms", "+1") == Keys([OLD]).address_ref("sms", "+1")


def test_the_same_number_on_two_channels_has_two_names() -> None:
    assert Keys([OLD]).address_ref("sms", "+1") != Keys([OLD]).address_ref("voice", "+1")


def test_names_differ_by_purpose_and_by_key() -> None:
    assert Keys([OLD]).borrower_ref("x") != Keys([NEW]).borrower_ref("x")
    assert Keys([OLD]).address_ref("sms", "x")[:16] != Keys([OLD]).borrower_ref("sms#x")


def test_a_stop_link_reads_back() -> None:
    keys = Keys([OLD])
    assert keys.read_stop_token(keys.stop_token("ref", "email")) == ("ref", "email")


def test_a_stop_link_of_an_older_key_still_stops() -> None:
    assert Keys([NEW, OLD]).read_stop_token(Keys([OLD]).stop_token("ref", "email")) == ("ref", "email")


def test_a_stop_link_that_we_did_not_sign_is_none() -> None:
    token = Keys([NEW]).stop_token("ref", "email")
    assert Keys([OLD]).read_stop_token(token) is None
    assert Keys([NEW]).read_stop_token(token[:-1] + ("a" if token[-1] != "a" else "b")) is None
    assert Keys([NEW]).read_stop_token("") is None
    assert Keys([NEW]).read_stop_token("ref.email") is None
