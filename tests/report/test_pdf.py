"""The PDF: what stands in it, for whom it may be taken, and that it is always the same."""

import re
from dataclasses import replace

import numpy as np
import pytest
from pypdf import PdfReader

from lab.errors import FileError, LabError
from lab.gait import Curves, Measure
from report.numbers import measure_quantity
from report.pdf import make_pdf, page_content, put_pdf, refusals
from report.stills import Still

BANNER = "REFUSED: do not base treatment on these numbers"


@pytest.fixture(scope="module")
def read(tmp_path_factory, texts):
    """Return a function: write a trial's report and read it back."""

    def make(trial, **more):
        path = tmp_path_factory.mktemp("pdf") / "report.pdf"
        put_pdf(make_pdf(trial, findings_text=texts, **more), path)
        return PdfReader(path)

    return make


def flat(text):
    return re.sub(r"\s+", " ", text.replace("\u00a0", " "))


def page_texts(reader):
    return [flat(page.extract_text()) for page in reader.pages]


def whole(reader):
    return " ".join(page_texts(reader))


def first_text(reader):
    return flat(reader.pages[0].extract_text())


def slim(trial):
    """Keep two curves, so that a page is quickly read back."""
    c = trial.curves
    return replace(trial, curves=Curves(c.names[:2], c.t, c.values[:, :2], c.sigma[:, :2]))


@pytest.fixture(scope="module")
def full(make_trial, read):
    return read(make_trial())


@pytest.fixture(scope="module")
def full_texts(full):
    return page_texts(full)


def fonts_of(reader):
    for page in reader.pages:
        for reference in page["/Resources"]["/Font"].values():
            yield reference.get_object()


def test_pages_are_a4_upright_and_numbered(full, full_texts):
    count = len(full.pages)
    assert 6 <= count <= 10
    for i, (page, text) in enumerate(zip(full.pages, full_texts, strict=True), 1):
        assert float(page.mediabox.width) == pytest.approx(595.3, abs=0.5)
        assert float(page.mediabox.height) == pytest.approx(841.9, abs=0.5)
        assert f"Page {i} of {count}" in text
        assert "P017" in text
        assert "gaitlab 0.1.0" in text
        assert "Measuring software, not a medical device" in text


def test_it_says_that_it_is_pdf_a(full):
    xmp = full.trailer["/Root"]["/Metadata"].get_data().decode()
    assert re.search(r"pdfaid:part>2<", xmp)
    assert re.search(r"pdfaid:conformance>A<", xmp)
    assert full.trailer["/Root"]["/Lang"]


def test_the_only_fonts_are_our_own_and_embedded(full):
    names = set()
    for font in fonts_of(full):
        names.add(font["/BaseFont"].split("+")[1])
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert {"/FontFile2", "/FontFile3"} & set(descriptor)
    assert names
    assert all(name.startswith("SourceSansPro") for name in names)


def test_figures_are_vectors(full):
    for page in full.pages:
        assert "/XObject" not in page["/Resources"] or not any(
            x.get_object()["/Subtype"] == "/Image" for x in page["/Resources"]["/XObject"].values()
        )


def test_the_first_page_is_the_summary(make_trial, full_texts, texts):
    first = full_texts[0]
    trial = make_trial()
    for name in (
        "pelvic_drop_peak",
        "trunk_lean_forward_stance_mean",
        "over_stride_angle_heel",
        "hip_extension_peak",
        "contact_time",
    ):
        for side in ("left", "right"):
            assert flat(measure_quantity(trial.measure(name, side)).text) in first
    for text in texts.values():
        assert text.consequence in first
        assert text.exercise in first
    for words in (
        "What was measured",
        "Outside a range?",
        "How sure are we?",
        "Since last time",
        "What to talk about",
        "For discussion with your clinician:",
        "7.9 ± 0.6°",
        "171.4 ± 0.8 steps/min",
        "8 to 10°",
        "C. Vandi",
        "do not support these four",
    ):
        assert words in first
    assert "What research says" in first


def test_every_definition_and_source_is_there(make_trial, full_texts):
    text = " ".join(full_texts)
    for measure in make_trial().measures:
        assert measure.definition in text
    for norm in make_trial().norms:
        assert (norm.citation in text) == (norm.activity == "run")
    assert "No points on the thigh fix its rotation." in text
    assert "2 edited by hand" in text
    assert make_trial().rig.sha256[:16] in text


def test_the_word_risk_is_nowhere(make_trial, read, full_texts):
    assert "risk" not in " ".join(full_texts).lower()
    refused = slim(make_trial(accepted=False, reasons=("x",)))
    assert "risk" not in whole(read(refused)).lower()
    assert "risk" not in whole(read(slim(make_trial()), previous=make_trial())).lower()


def test_same_trial_same_bytes(make_trial, tmp_path):
    paths = [tmp_path / name for name in ("a.pdf", "b.pdf")]
    for path in paths:
        put_pdf(make_pdf(make_trial()), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "b.pdf"]


def test_the_date_is_the_trials(full):
    assert full.metadata["/CreationDate"].startswith("D:20261121110203")


@pytest.mark.parametrize(
    ("change", "more", "reason"),
    [
        (
            {"accepted": False, "reasons": ("Left and right were swapped.",)},
            {},
            "Left and right were swapped.",
        ),
        ({"rig_accepted": False}, {}, "Held-out error 2.9 px is above 1.0 px."),
        ({}, {"flags": ("The rig was used by force.",)}, "The rig was used by force."),
    ],
)
def test_the_banner_is_on_every_page(make_trial, read, change, more, reason):
    texts = page_texts(read(slim(make_trial(**change)), **more))
    for text in texts:
        assert BANNER in text
        assert reason in text
    assert "Not compared: the measurement was refused" in texts[0]
    assert "For discussion" not in texts[0]


def test_a_note_in_a_refused_trial_is_no_cause(make_trial, read):
    reasons = ("The belt's speed is wrong.", "noted besides: the path turns")
    texts = page_texts(read(slim(make_trial(accepted=False, reasons=reasons))))
    assert all("speed is wrong" in text for text in texts)
    assert sum("path turns" in text for text in texts) == 1


def test_what_lasts_over_frames_is_said_to_be_no_part_of_an_interval(make_trial, read):
    said = "all cameras get wrong alike"
    assert said in " ".join(page_texts(read(make_trial()))[0].split())
    plates = make_trial(quality={"landmark_sigma_most_mm": 1.0})
    assert said not in " ".join(page_texts(read(plates))[0].split())


def test_no_banner_without_a_cause(full_texts):
    assert BANNER not in " ".join(full_texts)


def test_many_and_long_reasons_leave_room_for_the_page(make_trial, read):
    reasons = tuple(f"Reason {i}: " + "the tripod was touched " * 30 for i in range(12))
    trial = make_trial(accepted=False, reasons=reasons)
    texts = page_texts(read(slim(trial)))
    assert len(texts) < 16
    assert all("9 more reasons" in text for text in texts)
    assert all(f"Reason {i}: the tripod was touched" in " ".join(texts) for i in range(12))
    assert refusals(trial) == list(reasons)


def test_without_cycles_no_number_is_invented(make_trial, read):
    trial = make_trial(left=0, right=0, withheld={"cadence both": "No stride in 1.0 s."})
    texts = page_texts(read(trial))
    assert "No complete stride was found" in texts[0]
    assert "No stride in 1.0 s." in texts[0]
    assert "±" not in " ".join(texts)
    assert "For discussion" not in " ".join(texts)
    assert "Quality of the measurement" in " ".join(texts)
    assert "Upper body, forward" in " ".join(texts)


def test_unknown_intervals_are_said(make_trial, read):
    first = first_text(read(make_trial(known=False, cameras=False)))
    assert "interval not known" in first
    assert "±" not in first.replace("± 1 SD", "")


def test_missing_calibration_error_is_said(make_trial, read):
    first = first_text(read(make_trial(calibrated=False)))
    assert "interval without calibration error" in first
    assert "7.9 ± 0.6°" in first


def test_one_side_one_stride(make_trial, read):
    trial = make_trial(left=1, right=0, withheld={"hip_extension_peak right": "No right stride."})
    texts = page_texts(read(trial))
    assert "No right stride." in texts[0]
    assert "one left stride" in texts[0]
    assert "no right stride" in " ".join(texts[1:])


def test_a_side_that_is_known_too_badly_says_so_in_short(make_trial, read):
    why = "known only to ± 22 degrees; all that healthy people differ by is some 20 degrees"
    trial = make_trial(withheld={"over_stride_angle_heel right": why})
    kept = [m for m in trial.measures if (m.name, m.side) != ("over_stride_angle_heel", "right")]
    first, *others = page_texts(read(replace(trial, measures=tuple(kept))))
    assert "Known only to ± 22 degrees" in first
    assert "all that healthy people" not in first
    assert f"K{why[1:]}" in " ".join(others)


def test_change_since_last_time(make_trial, read):
    trial = slim(make_trial())
    less = tuple(
        replace(m, value=m.value - (0.1 if m.name == "over_stride_angle_heel" else 0.0))
        for m in trial.measures
    )
    before = replace(trial, measures=less)
    first = first_text(read(trial, previous=before))
    assert "Differs by more than the measurement's noise" in first
    assert "left +5.7°, right +5.7°" in first
    assert "No detectable change in the others." in first
    known = read(trial, previous=before, revisit_sigma={"over_stride_angle_heel": 0.01})
    assert "Changed: foot landing ahead of the hip" in first_text(known)
    covered = read(trial, previous=before, revisit_sigma={"over_stride_angle_heel": 0.1})
    assert "No detectable change in the four findings." in first_text(covered)
    assert "Dingenen 2018" in whole(covered)


def test_stills_stand_with_their_captions(make_trial, read):
    image = np.full((40, 60, 3), 128, np.uint8)
    stills = [Still("cam01", 0.3, image, "Left foot strike")]
    assert "Left foot strike" in whole(read(slim(make_trial()), stills=stills))


def test_a_measure_and_a_curve_nobody_named(make_trial, read):
    trial = make_trial()
    new = Measure("new_thing", "left", 0.5, 0.1, 0.1, "1", 3, "A new thing.")
    curves = replace(
        trial.curves, names=("pig_hip_flexion_left", "odd_curve", *trial.curves.names[2:])
    )
    text = whole(read(replace(trial, measures=(new, *trial.measures), curves=curves)))
    assert "New thing" in text
    assert "Plug-in Gait definition" in text
    assert "Odd curve" in text


def test_text_cannot_become_markup(make_trial, read):
    nasty = "P#1 $x$ *b* [c] \\ <d> @e"
    trial = make_trial(patient=nasty, withheld={"x": "#panic() $a$ *b*"})
    text = whole(read(slim(trial)))
    assert "#panic() $a$ *b*" in text
    assert nasty in text


def test_a_long_code_is_whole_once_and_short_in_the_footer(make_trial, read):
    code = "P" + "0123456789" * 9
    content = page_content(make_trial(patient=code))
    assert content["meta"][0]["value"] == code
    assert len(content["patient"]) < 30
    assert len(read(make_trial(patient=code)).pages) < 12


def test_faults_that_the_operator_can_mend(make_trial, tmp_path):
    with pytest.raises(FileError, match="cannot be written"):
        put_pdf(b"%PDF", tmp_path / "missing" / "report.pdf")
    trial = make_trial()
    undated = replace(trial, provenance=replace(trial.provenance, created="yesterday"))
    with pytest.raises(LabError, match="not ISO 8601"):
        make_pdf(undated)
    assert not list(tmp_path.iterdir())
