"""Class names for benchmarks, of the lengths that ImageNet's names have.

The benchmark needs names that tokenise like ImageNet's: with full stop and end-of-text 4.2 tokens on average over the
first 1,000, 3 at least. They are put together from everyday words: names of the right shape, not ImageNet's.
"""

from __future__ import annotations

import random

_NOUNS = """
ant ape baboon badger banjo barn barrel basin basket bat bath beach beacon beaker bear beaver bee beetle bell bench
bib bicycle bike bird bison boar boat bobcat bonnet book boot bottle bow bowl box bra bread bridge broccoli broom
bubble bucket buckeye buckle buffalo bull bullet burrito bus bush butterfly cab cabbage cabin cake camel camera candle
cannon canoe car cardigan cart cassette castle cat cello chain chair chameleon cheese cheetah chest chicken church
cinema clam cliff cloak clock clog cobra cockroach coffee coin collie comb coral corn cot couch cougar cow coyote crab
cradle crane crate crayfish cricket crocodile crow cup custard daisy dam deer desk dingo dish dock dog dome door dough
dragon dragonfly drake drill drum duck dumbbell dune eagle eel egg elephant elk envelope espresso falcon fan fence
ferret ferry fig finch fireboat fish flagpole flamingo flute fly fountain fox frog fungus garlic gazelle gecko geyser
gibbon giraffe globe goat goblet goldfish golf gondola gong goose gorilla gown grape grasshopper greenhouse grouse
guitar gym hammer hamper hamster hammock handle hare harp hat hawk hay helmet hen hip hippo hog honeycomb hook horn
horse hotdog hound hourglass house husky hyena ibex icecream iguana impala iron jackal jacket jaguar jar jay jeans
jeep jellyfish jersey jet kayak kettle kimono kite knee knot koala ladle lake lamp lantern lark latte leaf lemon lemur
leopard library lily limousine lion lipstick lizard llama lobster lock lotion loupe lynx macaw magpie mailbox mango
mantis map maraca mask maze meerkat microphone microwave minibus mink mirror missile mitten monastery monitor monkey
moose mop mosque mouse mug mule mushroom nail necklace nest newt nipple oak obelisk oboe ocean orange orca organ
ostrich otter owl ox oxcart oyster paddle padlock palace panda panther paper parachute park parrot partridge patio
peacock pearl pedestal pelican pen pencil penguin piano pick pickup pier pig pillow pineapple pipe pirate pitcher
pizza plane planet plate plow plunger pole pomegranate poncho pony poodle porcupine pot potato pretzel printer prison
projector puck pug puffer pumpkin puppet purse python quail quilt rabbit racket radiator radio raft rat raven ray reef
reel remote restaurant revolver rifle ring robin rocket roof rose ruler sandal sandbar sandwich sax scale scarf school
scooter scorpion screen screw sea seal shark shed sheep shield ship shirt shoe shovel sign silk ski skirt skunk sky
sloth slug snail snake snorkel snow soap sock sofa spider spoon squirrel stage star statue steel stone stork stove
strawberry sturgeon submarine suit sun swan sweater swing sword syringe table tank tape teapot teddy television tench
tent terrapin thimble throne tick tie tiger toad toaster toilet torch toucan towel tower tractor train tram tray
tricycle tripod trombone truck trumpet tub turtle tusker umbrella unicycle valley van vase vault velvet violin volcano
vulture waffle wagon wallet walrus wardrobe warthog watch water weasel well whale wheel whistle wig window wine wing
wolf wombat wood wool wren yacht yarn yurt zebra zoo
"""

_FIRST = """
african alaskan american arctic asian black blue brown common desert eastern electric english european french german
giant golden great green grey indian irish italian king large little mountain northern norwegian old red river royal
scottish sea siberian small southern spotted striped tibetan tiger tree water welsh western white wild wooden yellow
"""

_SECOND = """
backed banded bearded bellied billed breasted coated crested eared faced footed haired headed horned necked ringed
shelled tailed throated winged
"""

# Share of names with one, two, three and four words; 2.2 tokens on average, as words of several tokens occur.
_WORDS = (1, 2, 3, 4)
_SHARES = (0.33, 0.42, 0.18, 0.07)


def class_names(count: int, seed: int = 0) -> list[str]:
    """`count` different class names in a fixed order: a shorter list is the beginning of a longer one.

    Args:
        count: number of names, up to 1,400.
        seed: of the choice of words.

    Raises:
        ValueError: more names are asked for than the word lists make.
    """
    if not 1 <= count <= 1400:
        raise ValueError(f"{count} class names were asked for: expected 1 to 1400")
    # random.Random(seed) is independent of the global state, and stable over Python versions for these calls.
    generator = random.Random(seed)
    names: dict[str, None] = {}
    while len(names) < count:
        words = generator.choices(_WORDS, _SHARES)[0]
        name = _draw(generator, words)
        while name in names:
            name = _draw(generator, words)
        names[name] = None
    return list(names)


def _draw(generator: random.Random, words: int) -> str:
    nouns = _NOUNS.split()
    noun, other = generator.choice(nouns), generator.choice(nouns)
    first, second = generator.choice(_FIRST.split()), generator.choice(_SECOND.split())
    parts = {1: [noun], 2: [first, noun], 3: [first, second, noun], 4: [first, second, other, noun]}
    return " ".join(parts[words])
