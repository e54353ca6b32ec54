"""Cards are checked as the public Hub checks them, so that a rehearsal that passes is a publication that passes."""

import pytest
from huggingface_hub import DatasetCard, HfApi

from recapdata.hub.card_checks import problems
from recapdata.hub.process import Hub

RESULT = """
  - task: {type: image-to-text}
    dataset: {type: me/birds, name: birds}
    metrics: [{type: bleu, value: 0.5}]
"""
GOOD = [
    "license: cc-by-4.0",
    "license: [mit, apache-2.0]",
    "license: other\nlicense_name: lab-1.0\nlicense_link: LICENSE",
    "language: [en, zh-Hant, und, multilingual, code]",
    "configs:\n- config_name: default\n  data_files: data/*.parquet\n- config_name: b\n  data_files: [{split: train, path: [a, b]}]",
    "dataset_info:\n  features: [{name: a, dtype: string}]\n  splits: [{name: train, num_bytes: 1, num_examples: 1}]",
    f"model-index:\n- name: m\n  results:{RESULT}",
    "datasets: [me/birds]\nbase_model: google/paligemma2-3b-pt-448",
    "size_categories: n<1K\ntags: [a, b]\nviewer: false\nanything: {of: [ones, own]}",
    "license:",
]
BAD = [
    ("license: foo", '"license" must be one of'),
    ("license: [mit, foo]", '"license[1]" must be one of'),
    ("license: 1", '"license" must be one of'),
    ("language: english", "\"language\" with value 'english' is not valid"),
    ("language: [en, no]", "Norwegian"),
    ("tags: [a, 1]", '"tags[1]" must be a non-empty string'),
    ("pretty_name: [a]", '"pretty_name" must be a string'),
    ("configs: default", '"configs" must be an array'),
    ("configs: [{data_files: a}]", '"configs[0].config_name" is required'),
    ("configs: [{config_name: 1}]", '"configs[0].config_name" must be a string'),
    ("configs: [{config_name: a}, {config_name: a}]", "same \"config_name\" 'a'"),
    (
        "configs: [{config_name: a, data_files: [{split: train}]}]",
        '"configs[0].data_files[0].path" is required',
    ),
    (
        "configs: [{config_name: a, data_files: [{split: t, path: a}, {split: t, path: b}]}]",
        "names a split twice",
    ),
    ("dataset_info: text", '"dataset_info" must be of type object'),
    ("dataset_info: [{features: []}, {config_name: b}]", '"dataset_info[0].config_name" is required'),
    ("dataset_info: {features: [{dtype: string}]}", '"dataset_info.features[0].name" is required'),
    ("dataset_info: {splits: {train: 1}}", '"dataset_info.splits" must be an array'),
    ("dataset_info: {download_size: many}", "non-negative integer"),
    ("model-index: foo", '"model-index" must be an array'),
    ("model-index: [{results: []}]", '"model-index[0].name" is required'),
    ("model-index: [{name: m}]", '"model-index[0].results" is required'),
    (
        f"model-index:\n- name: m\n  results:{RESULT}".replace("type: image-to-text", "name: x"),
        '"model-index[0].results[0].task.type" is required',
    ),
    (
        f"model-index:\n- name: m\n  results:{RESULT}".replace("type: bleu, ", ""),
        '"model-index[0].results[0].metrics[0].type" is required',
    ),
    ("base_model: 'not a name'", "is not valid: use the name of a repository"),
    ("datasets: [null]", '"datasets[0]"'),
    ("viewer: 3", '"viewer" must be a boolean'),
    ("- a list", "has to be a mapping"),
    ("a: [", "cannot be read"),
]


@pytest.mark.parametrize("head", GOOD)
def test_what_the_public_hub_takes(head: str) -> None:
    assert problems(f"---\n{head}\n---\n# x\n") == ([], [])


@pytest.mark.parametrize("start", ["", "\n", "\n  \n\n", "\ufeff", "\r\n"])
@pytest.mark.parametrize(("head", "words"), BAD)
def test_what_the_public_hub_refuses(start: str, head: str, words: str) -> None:
    """Also where empty lines come before the head: the public Hub reads it all the same."""
    errors, _ = problems(f"{start}---\n{head}\n---\n# x\n")
    assert any(words in error for error in errors), errors


def test_what_is_only_recommended_is_a_warning() -> None:
    assert problems("# no head\n")[1] == ["empty or missing yaml metadata in repo card"]
    assert problems("---\nlicense: other\n---\n")[0] == []


def test_the_stock_client_says_what_is_wrong(hub: Hub, repo_id: str) -> None:
    HfApi().create_repo(repo_id)
    with pytest.raises(
        ValueError, match=r'Invalid metadata in README\.md\.\n- "model-index" must be an array'
    ):
        HfApi().upload_file(
            path_or_fileobj=b"\n---\nmodel-index: foo\n---\n", path_in_repo="README.md", repo_id=repo_id
        )
    with pytest.raises(ValueError, match='"license" must be one of'):
        DatasetCard("---\nlicense: foo\n---\n").validate(repo_type="dataset")
