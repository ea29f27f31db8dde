"""A classifier's forward pass on packed tokens, which replaces the model's own during training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from transformers.modeling_outputs import SequenceClassifierOutput

from bakeoff.plugin import TrainingJob
from bakeoff_fast_loop.families import Encoder, GatedBlock, encoder_of
from bakeoff_fast_loop.flat import Flat, Piece, Unit
from bakeoff_fast_loop.layers import Layer, TopLayer
from bakeoff_fast_loop.packing import Packing, pack_batch
from bakeoff_fast_loop.parts import Grafted, Joined, Norm, Stream, Words
from bakeoff_fast_loop.prenorm import PreNormLayer, TopPreNormLayer
from bakeoff_fast_loop.words import UsedRows, is_plain, used_rows


class Packed:
    """The forward pass that training and evaluation share, with matrix products in `dtype`; subclasses supply the weights."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        self.model, self.dtype = model, dtype
        self.encoder: Encoder = encoder_of(model)
        self.look_up: Callable[[Tensor], Tensor] = self.encoder.words

    def piece(self, unit: Unit) -> Piece | None:
        """The stored weights of a unit; None if they are not stored as one tensor."""
        raise NotImplementedError

    def made_layers(self) -> list[Layer] | list[PreNormLayer]:
        *lower, top = self.encoder.blocks
        if isinstance(top, GatedBlock):
            given = self.map, self.norm, self.dtype
            whole = self.joined(top.joined) if self.encoder.pool == "first" else None
            last = PreNormLayer(top, *given) if whole is None else TopPreNormLayer(whole, top, *given)
            return [*(PreNormLayer(block, *given) for block in lower if isinstance(block, GatedBlock)), last]
        return [*(Layer(block, self.map, self.norm) for block in lower), TopLayer(top, self.map, self.norm)]

    def embed(self, packing: Packing, ids: Tensor, types: Tensor | None, masks: Stream) -> Tensor:
        """The embeddings of the packed tokens, (T, hidden)."""
        encoder = self.encoder
        states = self.look_up(ids.flatten()[packing.tokens])
        if encoder.types is not None:
            kinds = torch.zeros_like(packing.tokens) if types is None else types.flatten()[packing.tokens]
            states = states + encoder.types(kinds)
        if encoder.positions is not None:
            states = states + encoder.positions(packing.columns + encoder.first_position)
        states = encoder.norm(states).to(torch.float32 if encoder.pre_norm else self.dtype)
        if mask := masks.draw(encoder.dropout, tuple(states.shape), states.dtype):
            states = torch.addcmul(states.new_zeros(()), states, mask.keep, value=mask.scale)
        return self.as_modules(encoder.project)(states) if encoder.project else states

    def read(self, states: Tensor, packing: Packing) -> Tensor:
        """What the head reads, (batch, 1, hidden), of the last layer's states: (batch, hidden) of first tokens, or (T, hidden)
        of all."""
        if self.encoder.pool == "first" and len(states) != packing.batch:
            states = states.index_select(0, packing.first)
        if self.encoder.final_norm is not None:
            states = self.encoder.final_norm(states)
        if self.encoder.pool == "first":
            return states[:, None]
        padded = packing.pad(states).view(packing.batch, packing.length, -1)
        real = (packing.hidden == 0).view(packing.batch, packing.length, 1)
        return ((padded * real).sum(1) / real.sum(1))[:, None]

    def score_bias(self, packing: Packing) -> Tensor:
        """What is added to the attention scores: minus infinity at padding, and MPNet's bias by distance."""
        if self.encoder.relative is None:
            return packing.hidden.to(self.dtype)
        near = self.encoder.relative.compute_position_bias(packing.hidden.new_empty(1, packing.length))
        return (near + packing.hidden).to(self.dtype)

    def units_of(self, modules: Iterable[Any]) -> tuple[Unit, ...]:
        """The weights of linear maps as one unit, and their biases, if they have any, as another."""
        weights, biases = zip(*((module.weight, module.bias) for module in modules), strict=True)
        units = Unit(weights, self.dtype), Unit(biases, self.dtype)
        return units if biases[0] is not None else units[:1]

    def map(self, *modules: Any) -> Joined | Grafted:
        """The object that computes these modules on the same input: linear maps as one product; other modules, such as
        adapters, are called one by one."""
        return self.joined(*modules) or Grafted(self.as_modules(*modules))

    def joined(self, *modules: Any) -> Joined | None:
        """Linear maps of the same input as one product; None for other modules, and where a map's weights are not stored as
        one tensor."""
        if not are_plain(modules):
            return None
        weight, *bias = map(self.piece, self.units_of(modules))
        return None if weight is None or None in bias else Joined(weight, bias[0] if bias else None)

    def norm(self, norm: nn.LayerNorm) -> Norm:
        weight = self.piece(Unit((norm.weight,), torch.float32))
        bias = None if norm.bias is None else self.piece(Unit((norm.bias,), torch.float32))
        return Norm(weight, bias, norm.eps)

    def as_modules(self, *modules: Any) -> Callable[[Tensor], Tensor]:
        def call(x: Tensor) -> Tensor:
            with torch.autocast(x.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
                return torch.cat([module(x) for module in modules], -1)

        return call


def are_plain(modules: Iterable[Any]) -> bool:
    """Whether all of them are linear maps, either all with a bias or all without."""
    kinds = {(type(module), getattr(module, "bias", None) is None) for module in modules}
    return len(kinds) == 1 and kinds <= {(nn.Linear, True), (nn.Linear, False)}


@contextmanager
def unpadded(
    model: Any, dtype: torch.dtype, words: UsedRows | None = None, groups: list[dict[str, Any]] | None = None
) -> Iterator[Network]:
    """A context in which `model(**inputs)` computes the same logits from packed tokens, with matrix products in `dtype`.

    words: rows that are trained in place of the word embeddings. groups: the optimizer's parameter groups, by default one
    group of all trained parameters; the optimizer must be given those of the network's `flat`, which are made from them.
    Afterwards only the model's weights have changed.
    """
    network = Network(model, dtype, words, groups)
    model.forward = network.forward  # an instance's attribute hides the class's method; hooks of the model still run
    try:
        yield network
    finally:
        del model.forward
        network.flat.write_back()
        network.write_back()


@contextmanager
def packed(job: TrainingJob) -> Iterator[PackedPasses]:
    """A context with a job's passes on packed tokens."""
    dtype = torch.bfloat16 if job.recipe.precision == "bf16" else torch.float32
    with unpadded(job.model, dtype, used_rows(job), job.parameter_groups()) as network:
        yield PackedPasses(job, network)


class PackedPasses:
    """The `loop.Passes` of a job on packed tokens."""

    def __init__(self, job: TrainingJob, network: Network) -> None:
        self.job, self.flat = job, network.flat
        self.after_step, self.write_back = network.flat.after_step, network.write_back

    def take(self, inputs: dict[str, Tensor], weight: float) -> Tensor:
        given = {name: tensor.to(self.job.device) for name, tensor in inputs.items()}
        labels = given.pop("labels")
        with self.job.autocast():
            logits = self.job.model(**given).logits  # (batch, n_outputs)
        loss = self.job.loss(logits, labels) * weight
        loss.backward()
        return loss.detach()


class Network(Packed):
    """The packed forward pass for training. Call `flat.after_step` after each step of the optimizer."""

    def __init__(
        self, model: Any, dtype: torch.dtype, words: UsedRows | None = None, groups: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(model, dtype)
        self.words = words
        model.zero_grad()  # gradients that are there already would be taken for this network's
        groups = groups or [{"params": [parameter for parameter in model.parameters() if parameter.requires_grad]}]
        groups = [group | {"params": [self.trained(parameter) for parameter in group["params"]]} for group in groups]
        self.flat = Flat.of(groups, list(self.units()))
        self.look_up = self.words_map(self.encoder.words)
        self.layers = self.made_layers()
        self.lowest = next((number for number, layer in enumerate(self.layers) if layer.trains()), len(self.layers))
        self.anchor = torch.zeros((), requires_grad=self.lowest < len(self.layers))

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None, **rest: Any
    ) -> Any:
        if not self.model.training:  # an evaluation between epochs
            self.write_back()
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids, **rest}
            given = {name: value for name, value in inputs.items() if value is not None}
            return type(self.model).forward(self.model, **given)
        packing = pack_batch(input_ids, attention_mask, **rest)
        masks = Stream(input_ids.device)
        with torch.autocast(input_ids.device.type, enabled=False):  # dtypes are chosen here one by one
            states = self.embed(packing, input_ids, token_type_ids, masks)
            states = Layers.apply(self, packing, masks, self.anchor, self.score_bias(packing), states)
        return SequenceClassifierOutput(logits=self.encoder.classify(self.read(states, packing)))

    def piece(self, unit: Unit) -> Piece | None:
        return self.flat.piece(unit)

    def words_map(self, table: Any) -> Callable[[Tensor], Tensor]:
        """A function that looks up word embeddings: (T,) -> (T, size)."""
        if not is_plain(table):
            return table
        if self.words is None:
            return Words(table.weight, table.padding_idx)
        place = self.words.place
        words = Words(self.words.rows, None if table.padding_idx is None else int(place[table.padding_idx]))
        return lambda ids: words(place[ids])

    def trained(self, parameter: nn.Parameter) -> nn.Parameter:
        """The parameter itself, or the one trained in its place."""
        return self.words.rows if self.words is not None and parameter is self.words.table else parameter

    def write_back(self) -> None:
        """Copies weights that are trained outside the model into it."""
        if self.words is not None:
            self.words.write_back()

    def units(self) -> Iterator[tuple[Unit, ...]]:
        """The parameters that are to be stored as one tensor; each tuple has units that are used together."""
        blocks = self.encoder.blocks
        *lower, top = blocks
        maps: list[tuple[nn.Module, ...]] = []
        norms: list[nn.LayerNorm | None] = []
        if isinstance(top, GatedBlock):
            maps = [(block.joined,) for block in blocks]
            norms = [norm for block in blocks for norm in (block.first_norm, block.second_norm)]
        else:
            maps = [(block.query, block.key, block.value) for block in lower] + [(top.query,), (top.key, top.value)]
            norms = [norm for block in blocks for norm in (block.output_norm, block.down_norm)]
        maps += [(module,) for block in blocks for module in (block.output, block.up, block.down)]
        for modules in filter(are_plain, maps):
            yield self.units_of(modules)
        for norm in filter(None, norms):
            yield from ((Unit((parameter,), torch.float32),) for parameter in (norm.weight, norm.bias) if parameter is not None)


class Layers(Function):
    """All layers as one autograd function: (T, hidden) -> (batch, hidden), the hidden states of first tokens, or (T, hidden)
    of all tokens, where the classifier reads more than the first."""

    @staticmethod
    def forward(
        ctx: Any, network: Network, packing: Packing, masks: Stream, anchor: Tensor, bias: Tensor, states: Tensor
    ) -> Tensor:
        """anchor: a tensor that makes autograd call `backward` even if the states need no gradient."""
        lowest = 0 if any(ctx.needs_input_grad[4:]) else network.lowest
        ctx.network, ctx.packing, ctx.lowest, ctx.bias_shape, ctx.kept = network, packing, lowest, bias.shape, []
        for number, layer in enumerate(network.layers):
            states, kept = layer.forward(states, packing, bias, masks)
            if number >= lowest:
                ctx.kept.append(kept)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        flat, packing, d_states = ctx.network.flat, ctx.packing, gradients[0]
        d_bias = d_states.new_zeros(ctx.bias_shape) if ctx.needs_input_grad[4] else None
        flat.before_backward()
        for layer in reversed(ctx.network.layers[ctx.lowest :]):
            d_states, d_scores = layer.backward(d_states, ctx.kept.pop(), packing)
            if d_bias is not None:  # of (batch, heads, length, length)
                d_bias[:, :, : d_scores.shape[1]] += d_scores.view(packing.batch, -1, *d_scores.shape[1:])
        flat.after_backward()
        return None, None, None, None, d_bias, d_states
