"""What a paper denies is not taken for its claim, and what it claims is still found."""

import json
import re

import pytest

from ml_intern.llm.protocol import Message, Request
from ml_intern.recipes.book import load_book
from ml_intern.recipes.negation import asserts
from ml_intern.recipes.player import RecipesModel

PATTERNS = {f"{recipe.id}/{claim.id}": claim.pattern for recipe in load_book() for claim in recipe.claims}

# In the words of papers (1706.03762, 1906.02629, three ReScience articles) where one says it.
TRUE = {
    "batch-norm/higher-rates": "Batch Normalization allows us to use much higher learning rates.",
    "batch-norm/trains-faster": "Batch normalization dramatically accelerates the training of deep networks.",
    "dropout/less-overfitting": "Dropout significantly reduces overfitting and is better than no dropout.",
    "dropout/better-accuracy": "Dropout not only regularizes, it improves the performance of neural networks.",
    "label-smoothing/accuracy": "In addition to improving generalization, label smoothing improves calibration.",
    "label-smoothing/calibration": "Here, we show that label smoothing also reduces ECE.",
    "label-smoothing/distillation": "However, we also observe that if a teacher network is trained with label"
    " smoothing, knowledge distillation into a student network is much less effective.",
    "label-smoothing/worse-likelihood": "In machine translation, Vaswani et al. [11] attained a small but important"
    " improvement in BLEU score, despite a reduction in perplexity.",
    "label-smoothing/bleu": "Thus, label smoothing improves translation quality measured by BLEU score despite worse"
    " NLL, and the difference of BLEU score performance is only partly explained by calibration.",
    "mixup/better-calibrated": "On the other hand, by training with Mixup, the network is much better calibrated.",
    "mixup/more-accurate": "Though we were not able to obtain the accuracy value 80%, we were able to replicate the"
    " trend that the accuracy is higher when the network is trained with Mixup.",
    "mixup/less-overconfident": "However, the underlying message i.e. over confident predictions are avoided when"
    " using Mixup is conveyed nonetheless.",
    "mixup/overconfidence-falls-with-alpha": "The decrease of OE with increase in α is also confirmed, which the"
    " authors attributed to underfitting of the model.",
    "mixup/ece-has-a-minimum": "However, ECE decreases till α=0.3 and then increases, which is also reported in paper.",
    "mixup/out-of-distribution": "The network trained with Mixup is significantly less confident in predicting.",
    "mixup/most-alphas": "ECE value is lower for majority of α indicating better calibration.",
    "optimisers/adam-trains-faster": "We find that Adam converges faster than the other methods.",
    "optimisers/adam-generalises-better": "Adam outperforms SGD with momentum on all tasks.",
    "optimisers/adaptive-generalises-worse": "Adaptive methods, Adam among them, generalize worse than SGD.",
    "optimisers/decoupled-decay": "Decoupled weight decay substantially improves Adam's generalization performance.",
    "optimisers/momentum-trains-faster": "Momentum accelerates the training of deep networks.",
    "periodic-digits/easier-than-periodic": "It is first demonstrated that the snake activation function is easier to"
    " optimize than other commonly used baseline periodic activation functions like sin(x) and x + sin(x).",
    "periodic-digits/lowest-training-loss": "The losses can be observed in Fig. 2, with the snake network achieving the"
    " lowest training loss.",
    "periodic-digits/as-good-on-images": "We were also able to verify that the proposed activation function performs as"
    " well as standard activation functions (with the exception of the LSTM experiment).",
    "periodic-digits/stated-accuracy": "A test accuracy of 93-94% is achieved by the snake network (Fig. 4), in line"
    " with that of the other standard activation functions.",
    "periodic-digits/faster-than-rnn": "As a result the time taken by the snake network to regress the function is"
    " roughly 2 orders of magnitude lower than the time taken by the RNN (Fig. 10).",
    "periodic-digits/lstm-slow": "We observed that the snake LSTM network did not perform very well on this task.",
    "periodic-extrapolation/standard-fail": "Standard neural networks with conventional activation functions are"
    " insufficient for extrapolating periodic functions.",
    "periodic-extrapolation/tanh-levels-off": "A tanh network will be smooth and extrapolates to a constant function,"
    " while ReLU extrapolates in a linear way.",
    "periodic-extrapolation/snake-extrapolates": "While all activation functions learn the training data (Fig. 1), only"
    " snake is able to capture the periodic behavior of sin(x) (Fig. 3).",
    "periodic-extrapolation/snake-against-tanh": "Only snake is able to capture the periodic behavior of sin(x).",
    "periodic-extrapolation/all-fit-inside": "While all activation functions learn the training data (Fig. 1), only"
    " snake is able to capture the periodic behavior of sin(x) (Fig. 3).",
    "periodic-extrapolation/body-temperature": "The snake network correctly learns the periodicity of the atmospheric"
    " temperature dataset, even though the amplitude is slightly off.",
    "periodic-sum/standard-fail-on-sum": "Networks with conventional activation functions fail to extrapolate a sum of"
    " sinusoids.",
    "periodic-sum/snake-extrapolates-sum": "Our snake network captures the behaviour of a sum of two sines.",
    "transformer-ablations/one-head": "While single-head attention is 0.9 BLEU worse than the best setting, quality"
    " also drops off with too many heads.",
    "transformer-ablations/too-many-heads": "While single-head attention is 0.9 BLEU worse than the best setting,"
    " quality also drops off with too many heads.",
    "transformer-ablations/dropout-helps": "We further observe in rows (C) and (D) that, as expected, bigger models are"
    " better, and dropout is very helpful in avoiding over-fitting.",
    "transformer-ablations/learned-positions": "We also experimented with using learned positional embeddings [8]"
    " instead, and found that the two versions produced nearly identical results (see Table 3 row (E)).",
    "transformer-ablations/order-needs-positions": "Since our model contains no recurrence and no convolution, in order"
    " for the model to make use of the order of the sequence, we must inject some information about the position.",
    "transformer-ablations/translation-quality": "Our model establishes a new state-of-the-art BLEU score of 41.8.",
    "transformer-ablations/key-size": "In Table 3 rows (B), we observe that reducing the attention key size hurts.",
    "warm-starting/gap": "It identifies a noticeable gap between warm-started and randomly-initialized models.",
    "warm-starting/shrink-perturb": "Therefore, we confirm that the warm-starting gap exists in certain settings and"
    " that the Shrink-Perturb method successfully reduces or eliminates this gap.",
    "warm-starting/weight-decay": "However, contrary to the original paper's results, we observe that the warm-starting"
    " gap decreases when applying weight decay.",
    "warm-starting/no-gap": "However, we did not observe the same gap on the SVHN dataset.",
    "warm-starting/augmentation": "In particular, we show that data augmentation also helps to reduce the gap.",
}

FALSE = [
    ("batch-norm/higher-rates", "Batch normalization does not permit higher learning rates in our networks."),
    ("batch-norm/higher-rates", "Batch normalization isn't what makes larger learning rates work."),
    ("batch-norm/trains-faster", "Batch normalization hardly accelerates training."),
    ("batch-norm/trains-faster", "Without batch normalization the same networks train faster."),
    ("dropout/better-accuracy", "We found no evidence that dropout improves performance on this task."),
    ("dropout/better-accuracy", "Dropout does not always help; dropout never improves generalization here."),
    ("dropout/better-accuracy", "Training without dropout improves accuracy."),
    ("dropout/better-accuracy", "Does dropout improve performance, and if dropout improves accuracy, when?"),
    ("dropout/better-accuracy", "Although dropout improves accuracy on MNIST, it fails to do so elsewhere."),
    ("dropout/less-overfitting", "In our setting dropout fails to reduce and hardly prevents overfitting."),
    ("label-smoothing/accuracy", "Neither weight decay nor label smoothing improves accuracy."),
    ("label-smoothing/calibration", "We see no sign that label smoothing improves calibration."),
    ("label-smoothing/calibration", "Label smoothing hardly reduces ECE."),
    ("label-smoothing/distillation", "It is a myth that label smoothing impairs distillation."),
    ("mixup/better-calibrated", "Training with mixup gives better accuracy, but never better calibration."),
    ("mixup/more-accurate", "We could not confirm that mixup improves test accuracy."),
    ("mixup/more-accurate", "There is little evidence that mixup improves the generalization of such networks."),
    ("mixup/ece-has-a-minimum", "We cannot see that ECE decreases till α = 0.3."),
    ("optimisers/adam-generalises-better", "Contrary to common belief, Adam is not better than SGD with momentum."),
    ("optimisers/adam-generalises-better", "It is unclear whether Adam outperforms SGD."),
    ("optimisers/adam-generalises-better", "Unlike Adam, momentum is better than SGD."),
    ("optimisers/adam-trains-faster", "Adam does not converge faster than SGD, and we see no faster convergence."),
    ("optimisers/adaptive-generalises-worse", "We doubt that adaptive methods generalize worse."),
    ("periodic-digits/lowest-training-loss", "Snake rarely has the lowest training loss."),
    ("periodic-digits/as-good-on-images", "Snake does not perform as well as standard activation functions."),
    ("periodic-digits/lstm-slow", "It is not the case that the snake LSTM network did not perform well."),
    ("periodic-extrapolation/standard-fail", "We can not say that standard activation units fail on periodic data."),
    ("periodic-extrapolation/standard-fail", "It is wrong that standard activation functions are insufficient, and"
     " it is false that they fail on periodic functions."),
    ("periodic-extrapolation/tanh-levels-off", "A tanh network can't be said to be what levels off."),
    ("periodic-extrapolation/snake-extrapolates", "Not only is it unclear that only snake learns the period of sin."),
    ("transformer-ablations/dropout-helps", "We doubt that dropout is very helpful in avoiding overfitting."),
    ("transformer-ablations/learned-positions", "We could not reproduce that the two versions produced nearly identical"
     " results."),
    ("warm-starting/shrink-perturb", "We do not find that shrink-perturb reduces the gap."),
    ("warm-starting/gap", "We did not observe a generalization gap between warm started models."),
    ("warm-starting/weight-decay", "Nothing shows that the gap decreases when applying weight decay."),
    ("warm-starting/no-gap", "It is untrue and unlikely that they did not observe the same gap on the data set."),
]  # fmt: skip

DENIALS = (
    "We found no evidence that {}",
    "It is unclear whether {}",
    "On none of the data sets could it be confirmed that {}",
    "They report that {} which we failed to reproduce.",
    "{} We doubt it",
)


@pytest.mark.parametrize("subject", PATTERNS)
def test_what_a_paper_says_is_found(subject: str) -> None:
    assert asserts(PATTERNS[subject], TRUE[subject])


@pytest.mark.parametrize("denial", DENIALS)
@pytest.mark.parametrize("subject", PATTERNS)
def test_the_same_words_denied_are_no_claim(subject: str, denial: str) -> None:
    sentence = denial.format(re.sub(r"\.$", "", TRUE[subject]))
    assert re.search(PATTERNS[subject], sentence, re.IGNORECASE)
    assert not asserts(PATTERNS[subject], sentence)


@pytest.mark.parametrize(("subject", "sentence"), FALSE)
def test_a_sentence_that_denies_a_claim_is_not_taken_for_it(subject: str, sentence: str) -> None:
    assert not asserts(PATTERNS[subject], sentence)


def test_the_recipes_model_proposes_what_a_paper_says_and_not_what_it_denies() -> None:
    said = "[sec:1/par:1] Dropout reduces overfitting in large networks."
    denied = "[sec:2/par:1] We found no evidence that dropout improves performance."
    request = Request(messages=(Message(role="user", content=f"{said}\n{denied}"),), answer_name="claims")
    claims = json.loads(RecipesModel().complete(request).content)["claims"]
    assert [claim["subject"] for claim in claims] == ["dropout/less-overfitting"]
