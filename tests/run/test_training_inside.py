"""What training needs works in every sandbox: torch, DataLoader workers, gloo, accelerate, a transformers Trainer."""

import tempfile
from pathlib import Path

import pytest

from tests.support.compute import every_kind, require, run_script

TRAIN = """
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(64, 8)
y = x.sum(1, keepdim=True)
loader = DataLoader(TensorDataset(x, y), batch_size=16, num_workers=2)
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(3):
    for a, b in loader:
        loss = torch.nn.functional.mse_loss(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
torch.save(model.state_dict(), "model.pt")
print("torch", float(loss))

from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
for a, b in loader:
    accelerator.backward(torch.nn.functional.mse_loss(model(a), b))
    optimizer.step()
print("accelerate", accelerator.device)

from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
rows = Dataset.from_dict({"input_ids": [[1, 2, 3, 4]] * 16, "labels": [0, 1] * 8})
arguments = TrainingArguments("out", max_steps=3, save_steps=3, report_to=[], use_cpu=True)
trained = Trainer(BertForSequenceClassification(config), arguments, train_dataset=rows).train()
print("trainer", trained.global_step)
"""

GLOO = """
import torch.distributed as dist

dist.init_process_group("gloo", init_method=f"file://{__import__('os').getcwd()}/meet", rank=0, world_size=1)
total = torch.ones(3)
dist.all_reduce(total)
dist.destroy_process_group()
print("gloo", total.tolist())
"""


@pytest.mark.slow
@every_kind
def test_training_with_workers_accelerate_and_a_trainer(kind: str) -> None:
    require(kind)
    with tempfile.TemporaryDirectory() as folder:
        code = TRAIN if kind == "landlock" else TRAIN + GLOO  # gloo needs IP to itself, which tier B has not
        result = run_script(kind, Path(folder), code, seconds=300, memory_mb=4096)
    assert result.outcome == "ok", result.tail
    for words in ("torch ", "accelerate cpu", "trainer 3", *(["gloo [1.0, 1.0, 1.0]"] if kind != "landlock" else [])):
        assert words in result.tail
